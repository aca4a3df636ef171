#include "kernels.h"
#include "pool.h"
#include "visits.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// MARK: Scratch

struct apus_scratch {
    struct visits visits;
    struct pool_room candidates, accepted;
};

struct apus_scratch *apus_scratch_make(uint32_t rows, uint32_t largest_pool) {
    struct apus_scratch *scratch = calloc(1, sizeof *scratch);
    if (!scratch) return NULL;
    bool has_visits = visits_make(&scratch->visits, rows), has_candidates = pool_room_make(&scratch->candidates, largest_pool);
    if (pool_room_make(&scratch->accepted, largest_pool) && has_visits && has_candidates) return scratch;
    apus_scratch_free(scratch);
    return NULL;
}

void apus_scratch_free(struct apus_scratch *scratch) {
    if (!scratch) return;
    visits_free(&scratch->visits);
    pool_room_free(&scratch->candidates);
    pool_room_free(&scratch->accepted);
    free(scratch);
}

// MARK: Traversal

struct traversal {
    const struct apus_codes *codes;
    const struct apus_query *query;
    apus_code_kernel kernel;
    size_t stride;
    struct apus_scratch *scratch;
    struct pool pool;
    struct pool accepted; // only where the search has a say in which rows it wants
    const struct apus_search *search;
    // Of the slack: what it is of a distance is of that above the least, and of no less than the noise.
    float least_far, beyond_far, beyond_near;
    uint64_t scored;
};

// While a graph is built its lists are longer.
enum { BATCH = 3 * APUS_MOST_LINKS / 2 };

// With fewer a walk ends on the way to where the nearest are.
enum { FEW = 4 };

static struct traversal traversal_of(
    const struct apus_codes *codes, const struct apus_query *query, const struct apus_search *search, enum apus_isa isa,
    struct apus_scratch *scratch) {
    return (struct traversal){
        .codes = codes,
        .query = query,
        .kernel = apus_code_kernel_for(codes->coding->kind, codes->coding->metric, isa),
        .stride = codes->coding->stride,
        .scratch = scratch,
        .pool = empty_pool(&scratch->candidates, search->pool),
        .accepted = empty_pool(&scratch->accepted, search->wanted),
        .search = search,
        .least_far = query->least + query->noise,
        .beyond_far = -search->slack * query->least,
        .beyond_near = search->slack * query->noise,
    };
}

// The distance beyond which candidates are not worth following.
static inline float reach(const struct traversal *t) {
    float worst = pool_worst(&t->pool);
    const struct apus_search *search = t->search;
    const struct pool *near_rows = search->accepts ? &t->accepted : &t->pool;
    if (search->slack < 0) {
        float wanted = search->accepts ? pool_worst(near_rows) : INFINITY;
        return wanted < worst ? wanted : worst;
    }
    if (near_rows->size < search->stop_rank) return worst;
    float near = near_rows->distances[search->stop_rank - 1];
    float wanted = search->bound + t->query->noise;
    if (wanted < near) {
        float few = near_rows->distances[(search->stop_rank < FEW ? search->stop_rank : FEW) - 1];
        // Those that are much farther lie in another cluster: the way out of it may begin at any of them.
        if (few < 2 * wanted - t->query->least) near = wanted > few ? wanted : few;
    }
    float bound = near > t->least_far ? near + search->slack * near + t->beyond_far : near + t->beyond_near;
    return bound < worst ? bound : worst;
}

// Built for wider registers too, which rank a distance in half the steps.
#if defined(__x86_64__)
__attribute__((target_clones("avx2", "default")))
#endif
static void score(struct traversal *t, const uint32_t *rows, size_t count) {
    float distances[BATCH];
    t->kernel(t->query->code, t->codes->rows, t->stride, rows, count, distances);
    for (size_t i = 0; i < count; i++) distances[i] = t->query->base + t->query->scale * distances[i];
    if (t->codes->bias)
        for (size_t i = 0; i < count; i++) distances[i] += t->query->bias_scale * t->codes->bias[rows[i]];
    float limit = reach(t);
    uint32_t near[BATCH], near_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        near[near_count] = i;
        near_count += distances[i] < limit;
    }
    for (uint32_t i = 0; i < near_count; i++) {
        float distance = distances[near[i]];
        uint32_t row = rows[near[i]];
        if (!(distance < limit)) continue; // the reach has shrunk
        pool_insert(&t->pool, distance, row);
        if (t->search->accepts && distance < pool_worst(&t->accepted) && t->search->accepts(t->search->context, row))
            pool_insert(&t->accepted, distance, row);
        limit = reach(t);
    }
    t->scored += count;
    // What is out of reach is never followed: a short pool is quicker to insert into.
    struct pool *pool = &t->pool;
    while (pool->size > t->search->wanted && pool->distances[pool->size - 1] > limit) pool->size--;
}

static void scan_first(struct traversal *t, uint32_t count) {
    uint32_t rows[BATCH];
    for (uint32_t start = 0; start < count; start += BATCH) {
        uint32_t n = count - start < BATCH ? count - start : BATCH;
        for (uint32_t i = 0; i < n; i++) {
            rows[i] = start + i;
            visit(&t->scratch->visits, start + i);
        }
        score(t, rows, n);
    }
}

// Collects the rows that a candidate links to and that were not visited yet, and has their codes fetched.
static uint32_t gather(struct traversal *t, const struct apus_graph *graph, uint32_t from, uint32_t *batch) {
    const uint32_t *links = graph->links + (size_t)from * graph->degree;
    uint32_t count = 0;
    for (uint32_t i = 0; i < graph->degree; i++) {
        uint32_t row = __atomic_load_n(&links[i], __ATOMIC_RELAXED); // while a graph is built others write
        if (row == ~0u) break;
        if (row >= graph->count) continue; // a damaged link leads nowhere
        prefetch_row(t->codes->rows + row * t->stride, t->stride);
        batch[count] = row;
        count += !visit(&t->scratch->visits, row);
    }
    return count;
}

// Follows links until no candidate is left.
//
// One candidate's rows are scored while those of the next are on their way from memory: the next is chosen a little too early, which
// costs some distances and hides most of the waiting.
static void follow(struct traversal *t, const struct apus_graph *graph) {
    struct pool *pool = &t->pool;
    uint32_t batches[2][BATCH], counts[2] = {0, 0}, now = 0;
    pool->cursor = 0;
    for (;;) {
        uint32_t candidate;
        bool goes_on = (t->search->budget == 0 || t->scored < t->search->budget) && pool_next(pool, reach(t), &candidate);
        counts[!now] = goes_on ? gather(t, graph, candidate, batches[!now]) : 0;
        if (!goes_on && counts[now] == 0) return;
        score(t, batches[now], counts[now]);
        counts[now] = 0;
        now = !now;
        // The links of the two that are likely to come next.
        uint32_t ahead[2];
        for (uint32_t i = pool_ahead(pool, ahead, 2); i-- > 0;)
            prefetch_row(graph->links + (size_t)ahead[i] * graph->degree, graph->degree * sizeof *graph->links);
    }
}

uint32_t apus_graph_search(
    const struct apus_graph *graph, const struct apus_codes *codes, const struct apus_query *query, const struct apus_search *search,
    enum apus_isa isa, struct apus_scratch *scratch, struct apus_found *out, bool *is_exhausted) {
    struct traversal t = traversal_of(codes, query, search, isa, scratch);
    scan_first(&t, graph->count < APUS_ENTRIES ? graph->count : APUS_ENTRIES);
    follow(&t, graph);
    const struct pool *found = search->accepts ? &t.accepted : &t.pool;
    for (uint32_t i = 0; i < found->size; i++) out[i] = (struct apus_found){found->distances[i], found->rows[i] & ~FOLLOWED};
    if (is_exhausted) *is_exhausted = search->budget != 0 && t.scored >= search->budget;
    visits_forget(&scratch->visits);
    return found->size;
}

uint32_t apus_codes_nearest(
    const struct apus_codes *codes, const struct apus_query *query, enum apus_isa isa, const uint32_t *rows, size_t count,
    struct apus_scratch *scratch, uint32_t wanted, struct apus_found *out) {
    struct apus_search search = {.pool = wanted, .wanted = wanted, .slack = -1, .bound = INFINITY};
    struct traversal t = traversal_of(codes, query, &search, isa, scratch);
    uint32_t batches[2][BATCH], counts[2] = {0, 0}, now = 0;
    size_t next = 0;
    do {
        // A batch is scored while the codes of the next are on their way.
        uint32_t *batch = batches[!now], n = 0;
        for (; next < count && n < APUS_MOST_LINKS / 4; next++) {
            if (rows[next] >= codes->count) continue;
            prefetch_row(codes->rows + rows[next] * t.stride, t.stride);
            batch[n++] = rows[next];
        }
        counts[!now] = n;
        score(&t, batches[now], counts[now]);
        counts[now] = 0;
        now = !now;
    } while (counts[now]);
    for (uint32_t i = 0; i < t.pool.size; i++) out[i] = (struct apus_found){t.pool.distances[i], t.pool.rows[i]};
    return t.pool.size;
}
