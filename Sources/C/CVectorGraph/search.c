#include "kernels.h"
#include "visits.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// MARK: Scratch

// Pools are changed so many places at a time: there is room before and behind them.
enum { PLACES = 8 };

// The highest bit of a candidate's row says that its links were followed.
#define FOLLOWED 0x80000000u

struct apus_scratch {
    struct visits visits;
    // Of the pool, and of the candidates that were accepted, with PLACES before each and behind it.
    float *distances, *accepted_distances;
    uint32_t *rows, *accepted_rows;
    uint32_t capacity;
};

struct apus_scratch *apus_scratch_make(uint32_t rows, uint32_t largest_pool) {
    struct apus_scratch *scratch = calloc(1, sizeof *scratch);
    if (!scratch) return NULL;
    bool is_whole = visits_make(&scratch->visits, rows);
    scratch->capacity = largest_pool;
    size_t places = (size_t)largest_pool + 2 * PLACES;
    scratch->distances = malloc(places * sizeof(float));
    scratch->accepted_distances = malloc(places * sizeof(float));
    scratch->rows = malloc(places * sizeof(uint32_t));
    scratch->accepted_rows = malloc(places * sizeof(uint32_t));
    if (is_whole && scratch->distances && scratch->accepted_distances && scratch->rows && scratch->accepted_rows) {
        for (int i = 0; i < PLACES; i++) scratch->distances[i] = scratch->accepted_distances[i] = -INFINITY;
        return scratch;
    }
    apus_scratch_free(scratch);
    return NULL;
}

void apus_scratch_free(struct apus_scratch *scratch) {
    if (!scratch) return;
    visits_free(&scratch->visits);
    free(scratch->distances);
    free(scratch->accepted_distances);
    free(scratch->rows);
    free(scratch->accepted_rows);
    free(scratch);
}

// MARK: Pool

// Candidates in order of their distance, distances and rows apart. `cursor` is the first that may not have been followed.
struct pool {
    float *distances;
    uint32_t *rows;
    uint32_t size, limit, cursor;
};

static struct pool empty_pool(float *distances, uint32_t *rows, uint32_t limit) {
    return (struct pool){.distances = distances + PLACES, .rows = rows + PLACES, .limit = limit};
}

typedef float place_distances __attribute__((vector_size(4 * PLACES)));
typedef int32_t place_words __attribute__((vector_size(4 * PLACES)));

// Puts a candidate behind those that are at most as far; the last one goes if the pool is full. Some places at a time, from the end:
// each keeps what it has, or takes the new one, or what was before it, without branches that would be guessed wrong half of the time.
static inline void pool_insert(struct pool *pool, float distance, uint32_t row) {
    if (pool->size < pool->limit) pool->distances[pool->size++] = INFINITY;
    const place_distances new_distance = distance - (place_distances){0};
    const place_words new_row = (int32_t)row - (place_words){0};
    int64_t first = pool->size;
    do {
        first -= PLACES;
        float *distances = pool->distances + first;
        uint32_t *rows = pool->rows + first;
        place_words here, before, row_here, row_before;
        memcpy(&here, distances, sizeof here);
        memcpy(&before, distances - 1, sizeof before);
        memcpy(&row_here, rows, sizeof row_here);
        memcpy(&row_before, rows - 1, sizeof row_before);
        place_words stays = (place_distances)here <= new_distance, moves = (place_distances)before > new_distance;
        place_words comes = ~(stays | moves);
        here = (here & stays) | (before & moves) | ((place_words)new_distance & comes);
        row_here = (row_here & stays) | (row_before & moves) | (new_row & comes);
        memcpy(distances, &here, sizeof here);
        memcpy(rows, &row_here, sizeof row_here);
    } while (pool->distances[first - 1] > distance); // -INFINITY is before the first
    bool is_before_cursor = pool->cursor > 0 && pool->distances[pool->cursor - 1] >= distance;
    if (is_before_cursor && first < pool->cursor) pool->cursor = first < 0 ? 0 : (uint32_t)first;
}

static inline float pool_worst(const struct pool *pool) {
    return pool->size < pool->limit ? INFINITY : pool->distances[pool->size - 1];
}

// MARK: Traversal

struct traversal {
    const struct apus_codes *codes;
    const struct apus_query *query;
    apus_code_kernel kernel;
    size_t stride;
    bool has_bias;
    struct apus_scratch *scratch;
    struct pool pool;
    struct pool accepted; // only where the search has a say in which rows it wants
    const struct apus_search *search;
    uint64_t scored;
};

enum { BATCH = APUS_MOST_LINKS };

// With fewer a walk ends on the way to where the nearest are.
enum { FEW = 4 };

static struct traversal traversal_of(
    const struct apus_codes *codes, const struct apus_query *query, const struct apus_search *search, enum apus_isa isa,
    struct apus_scratch *scratch) {
    uint32_t limit = search->pool < scratch->capacity ? search->pool : scratch->capacity;
    uint32_t wanted = search->wanted < scratch->capacity ? search->wanted : scratch->capacity;
    return (struct traversal){
        .codes = codes,
        .query = query,
        .kernel = apus_code_kernel_for(codes->coding->kind, codes->coding->metric, isa),
        .stride = codes->coding->stride,
        .has_bias = codes->bias && !is_float(codes->coding->kind),
        .scratch = scratch,
        .pool = empty_pool(scratch->distances, scratch->rows, limit),
        .accepted = empty_pool(scratch->accepted_distances, scratch->accepted_rows, wanted),
        .search = search,
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
    if (search->bound < near) {
        float few = near_rows->distances[(search->stop_rank < FEW ? search->stop_rank : FEW) - 1];
        near = search->bound > few ? search->bound : few;
    }
    float bound = near + search->slack * (near > 0 ? near : 0);
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
    if (t->has_bias)
        for (size_t i = 0; i < count; i++) distances[i] += t->codes->bias[rows[i]];
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

// The next candidate to follow; false when there is none within reach.
static bool next_candidate(struct traversal *t, uint32_t *row) {
    struct pool *pool = &t->pool;
    while (pool->cursor < pool->size && pool->rows[pool->cursor] & FOLLOWED) pool->cursor++;
    if (pool->cursor >= pool->size || pool->distances[pool->cursor] > reach(t)) return false;
    *row = pool->rows[pool->cursor];
    pool->rows[pool->cursor] |= FOLLOWED;
    return true;
}

// Collects the rows that a candidate links to and that were not visited yet, and has their codes fetched.
static uint32_t gather(struct traversal *t, const struct apus_graph *graph, uint32_t from, uint32_t *batch) {
    const uint32_t *links = graph->links + (size_t)from * graph->degree;
    uint32_t count = 0;
    for (uint32_t i = 0; i < graph->degree && links[i] != ~0u; i++) {
        uint32_t row = links[i];
        if (row >= graph->count || visit(&t->scratch->visits, row)) continue; // a damaged link leads nowhere
        batch[count++] = row;
        prefetch_row(t->codes->rows + row * t->stride, t->stride);
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
        bool goes_on = (t->search->budget == 0 || t->scored < t->search->budget) && next_candidate(t, &candidate);
        counts[!now] = goes_on ? gather(t, graph, candidate, batches[!now]) : 0;
        if (!goes_on && counts[now] == 0) return;
        score(t, batches[now], counts[now]);
        counts[now] = 0;
        now = !now;
        // The links of the two that are likely to come next.
        uint32_t ahead = 0;
        for (uint32_t i = pool->cursor; i < pool->size && ahead < 2; i++) {
            if (pool->rows[i] & FOLLOWED) continue;
            const uint32_t *links = graph->links + (size_t)pool->rows[i] * graph->degree;
            prefetch_row(links, graph->degree * sizeof *links);
            ahead++;
        }
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
        for (; next < count && n < BATCH / 4; next++) {
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
