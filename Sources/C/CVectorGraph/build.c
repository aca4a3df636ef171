#include "kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif

// Candidates for a row's links are what a search for it finds. Links are chosen among them by codes of signed numbers of one size around the
// mean, which makes distances between rows whole numbers: squared Euclidean, or summed differences for the Manhattan metric. For the dot
// product each row gets more numbers, so that all have the length of the longest; the nearest by distance is then the one with the largest
// product (Bachrach et al., RecSys 2014).

enum {
    SPREAD = 64, // numbers over which the length that a row lacks is spread, because one would be cut
};

// How many links a row's list holds until it is pruned: some room keeps it from being pruned at each new one.
static uint32_t list_room(uint32_t degree) { return (degree + degree * 3 / 10 + 15) / 16 * 16; }

struct neighbour {
    uint32_t distance, row;
};

// One thread's memory.
struct walker {
    struct apus_scratch *scratch;
    void *query;
    struct apus_found *found;
    struct neighbour *items;
};

struct apus_builder {
    struct apus_build build;
    uint32_t count;
    const float *rows;
    size_t row_stride;

    // What is walked on. The numbers of the coding are copied.
    struct apus_codes walked;
    struct apus_coding coding;
    float *numbers;
    uint32_t *order;
    // For the dot product: the longest row's squared length, and what each row lacks of its length.
    double longest;
    float *lacking;

    // What links are chosen by.
    size_t stride;
    uint8_t *codes;
    int32_t *lengths; // squared, of the codes
    bool is_wide;     // codes have 16 bits
    apus_pair_kernel kernel;
    float alpha;

    // The rows that each row links to, ended by ~0 where there are fewer than its room, and their distances. Readers may find some of an
    // old list and some of a new one: all are rows, so a walk goes on well. Writers hold the row's lock.
    uint32_t room;
    uint32_t *links, *distances;
    uint8_t *counts, *locks;

    struct walker *walkers;
    uint32_t threads;
};

// In huge pages where there are: what is read lies anywhere in it, and the processor would look up the place of each page.
static void *large(size_t bytes) {
    const size_t page = (size_t)2 << 20;
    void *memory = aligned_alloc(page, (bytes + page) / page * page);
#if defined(__linux__)
    if (memory && bytes >= page) madvise(memory, bytes / page * page, MADV_HUGEPAGE);
#endif
    return memory;
}

// MARK: Codes

static uint32_t width_of(const struct apus_build *build) {
    return build->metric == APUS_METRIC_DOT ? build->dimension + SPREAD : build->dimension;
}

static double squared(const float *row, uint32_t dimension) {
    double sum = 0;
    for (uint32_t d = 0; d < dimension; d++) sum += (double)row[d] * row[d];
    return sum;
}

static inline uint32_t distance(const struct apus_builder *b, uint32_t x, uint32_t y) {
    int32_t raw = b->kernel(b->codes + x * b->stride, b->codes + y * b->stride, b->stride);
    if (b->build.metric == APUS_METRIC_MANHATTAN) return (uint32_t)raw;
    return (uint32_t)b->lengths[x] + (uint32_t)b->lengths[y] - 2 * (uint32_t)raw;
}

// By steps of one size.
static void encode_rows(struct apus_builder *b, const float *mean, double size) {
    uint32_t dimension = b->build.dimension, width = width_of(&b->build);
    double most = b->is_wide ? 32767 : 127;
    memset(b->codes, 0, (size_t)b->count * b->stride);
    for (uint32_t row = 0; row < b->count; row++) {
        uint8_t *code = b->codes + row * b->stride;
        const float *x = b->rows + row * b->row_stride;
        float lacking = b->lacking ? b->lacking[row] / sqrtf(SPREAD) : 0;
        int32_t sum = 0;
        for (uint32_t d = 0; d < width; d++) {
            double exact = round((d < dimension ? x[d] - mean[d] : lacking) / size);
            int32_t c = (int32_t)(exact > most ? most : exact < -most ? -most : exact);
            if (b->is_wide) ((int16_t *)code)[d] = (int16_t)c;
            else ((int8_t *)code)[d] = (int8_t)c;
            sum += c * c;
        }
        b->lengths[row] = sum;
    }
}

// Whether neighbours are so near one another that steps of 8 bits hardly tell them apart: rounding shifts a squared distance of d by about
// the root of d.
static bool is_coarse(const struct apus_builder *b) {
    enum { SAMPLE = 4096, QUESTIONS = 32, NEAR = 10, LEAST = 256 };
    if (b->build.metric == APUS_METRIC_MANHATTAN) return false;
    uint32_t count = b->count < SAMPLE ? b->count : SAMPLE, questions = count < QUESTIONS ? count : QUESTIONS, near = 0;
    for (uint32_t question = 0; question < questions; question++) {
        uint32_t closer = 0;
        for (uint32_t row = 0; row < count && closer < NEAR; row++)
            closer += row != question && distance(b, question, row) < LEAST + width_of(&b->build) / 6;
        near += closer == NEAR;
    }
    return near > questions / 4;
}

static bool encode(struct apus_builder *b) {
    const float *rows = b->rows;
    size_t stride = b->row_stride;
    uint32_t dimension = b->build.dimension, count = b->count, width = width_of(&b->build);
    uint32_t sample = count < 4096 ? count : 4096;
    float *mean = calloc(width, sizeof *mean);
    if (!mean) return false;
    for (uint32_t row = 0; row < sample; row++)
        for (uint32_t d = 0; d < dimension; d++) mean[d] += rows[row * stride + d] / (float)sample;
    // The size covers six deviations of the widest dimension, or all there is.
    double most = 0, widest = 0;
    for (uint32_t d = 0; d < dimension; d++) {
        double squares = 0;
        for (uint32_t row = 0; row < sample; row++) {
            double x = rows[row * stride + d] - mean[d];
            squares += x * x;
            most = fmax(most, fabs(x));
        }
        widest = fmax(widest, sqrt(squares / sample));
    }
    most = fmin(most, 6 * widest);
    if (b->lacking) most = fmax(most, fmin(sqrt(b->longest / SPREAD), 6 * fmax(widest, sqrt(b->longest / dimension))));
    encode_rows(b, mean, most > 0 && isfinite(most) ? most / 127 : 1);
    if (is_coarse(b)) {
        // As fine as sums of 32 bits allow.
        double farthest = 0;
        for (uint32_t row = 0; row < count; row++) {
            double squares = 0;
            for (uint32_t d = 0; d < dimension; d++) squares += pow(rows[row * stride + d] - mean[d], 2);
            farthest = fmax(farthest, squares + b->longest);
        }
        free(b->codes);
        b->is_wide = true;
        b->stride = (2 * width + 63) / 64 * 64;
        b->kernel = apus_pair_kernel_for(b->build.metric, true, b->build.isa);
        b->codes = large((size_t)count * b->stride);
        if (b->codes) encode_rows(b, mean, farthest > 0 ? sqrt(farthest / (1 << 29)) : 1);
    }
    free(mean);
    return b->codes;
}

static inline void prefetch(const struct apus_builder *b, uint32_t row) { prefetch_row(b->codes + row * b->stride, b->stride); }

// MARK: Lists

static void lock(struct apus_builder *b, uint32_t row) {
    while (__atomic_exchange_n(&b->locks[row], 1, __ATOMIC_ACQUIRE))
        while (__atomic_load_n(&b->locks[row], __ATOMIC_RELAXED)) {}
}
static void unlock(struct apus_builder *b, uint32_t row) { __atomic_store_n(&b->locks[row], 0, __ATOMIC_RELEASE); }

static struct neighbour item_at(const struct apus_builder *b, uint32_t row, uint32_t i) {
    size_t place = (size_t)row * b->room + i;
    return (struct neighbour){b->distances[place], b->links[place]};
}

static bool has_link(const struct apus_builder *b, uint32_t row, uint32_t to) {
    for (uint32_t i = 0; i < b->counts[row]; i++)
        if (b->links[(size_t)row * b->room + i] == to) return true;
    return false;
}

// From place `first` on.
static void write_list(struct apus_builder *b, uint32_t row, uint32_t first, const struct neighbour *items, uint32_t count) {
    uint32_t *links = b->links + (size_t)row * b->room, *distances = b->distances + (size_t)row * b->room;
    for (uint32_t i = 0; i < count; i++) {
        distances[first + i] = items[i].distance;
        __atomic_store_n(&links[first + i], items[i].row, __ATOMIC_RELAXED);
    }
    for (uint32_t i = first + count; i < b->counts[row]; i++) __atomic_store_n(&links[i], ~0u, __ATOMIC_RELAXED);
    b->counts[row] = (uint8_t)(first + count);
}

static int nearer(const void *a, const void *b) {
    const struct neighbour *x = a, *y = b;
    if (x->distance != y->distance) return x->distance < y->distance ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

// Keeps of `items` (nearest first) those that no nearer kept one leads to, and some of those at no distance at all: rows that are equal
// would not find each other otherwise. Returns how many; they are moved to the front.
static uint32_t prune(const struct apus_builder *b, struct neighbour *items, uint32_t count) {
    uint32_t kept = 0, equal = 0;
    for (uint32_t i = 0; i < count && kept < b->build.degree; i++) {
        struct neighbour item = items[i];
        if (i + 1 < count) prefetch(b, items[i + 1].row);
        bool is_needed = item.distance > 0 || equal++ < b->build.degree / 4;
        for (uint32_t k = 0; k < kept && is_needed && item.distance > 0; k++)
            is_needed = b->alpha * (float)distance(b, item.row, items[k].row) > (float)item.distance;
        if (is_needed) items[kept++] = item;
    }
    return kept;
}

// Links `row` from `to`'s list, which is pruned when it is full.
static void link_back(struct apus_builder *b, uint32_t to, struct neighbour item) {
    lock(b, to);
    uint32_t count = b->counts[to];
    if (count < b->room) {
        if (!has_link(b, to, item.row)) write_list(b, to, count, &item, 1);
    } else if (!has_link(b, to, item.row)) {
        struct neighbour items[count + 1];
        for (uint32_t i = 0; i < count; i++) items[i] = item_at(b, to, i);
        items[count] = item;
        qsort(items, count + 1, sizeof *items, nearer);
        write_list(b, to, 0, items, prune(b, items, count + 1));
    }
    unlock(b, to);
}

// MARK: Walking

// The candidates for a row's links, nearest first, into the walker's memory: what a search finds that looks for the row.
static uint32_t find_candidates(const struct apus_builder *b, struct walker *walker, uint32_t row) {
    const float *x = b->rows + row * b->row_stride;
    struct apus_query query;
    apus_query_prepare(&b->coding, x, walker->query, &query);
    if (b->lacking) query.bias_scale = -b->lacking[row];
    // The first find those before them alone; the others, which link to nothing yet, are not to be found there.
    struct apus_graph graph = {b->links, row < APUS_ENTRIES ? row : b->count, b->room};
    struct apus_search search = {.pool = b->build.pool, .wanted = b->build.pool, .slack = -1, .bound = INFINITY};
    uint32_t found = apus_graph_search(&graph, &b->walked, &query, &search, b->build.isa, walker->scratch, walker->found, NULL), count = 0;
    for (uint32_t i = 0; i < found; i++) prefetch(b, walker->found[i].row);
    for (uint32_t i = 0; i < found; i++) {
        uint32_t to = walker->found[i].row;
        if (to == row) continue;
        // Nearly in order already.
        struct neighbour item = {distance(b, row, to), to};
        uint32_t at = count++;
        for (; at > 0 && nearer(&item, &walker->items[at - 1]) < 0; at--) walker->items[at] = walker->items[at - 1];
        walker->items[at] = item;
    }
    return count;
}

// MARK: The interface

// Copies the coding, and gives the rows what they lack of the longest's length: in that one more dimension all are equally long.
static bool take_codes(struct apus_builder *b, const struct apus_codes *codes) {
    uint32_t dimension = b->build.dimension;
    b->walked = *codes;
    b->coding = *codes->coding;
    b->walked.coding = &b->coding;
    if (!is_float(b->coding.kind)) {
        b->numbers = malloc(2 * (size_t)dimension * sizeof *b->numbers + 1);
        if (!b->numbers) return false;
        memcpy(b->numbers, b->coding.offsets, dimension * sizeof *b->numbers);
        memcpy(b->numbers + dimension, b->coding.steps, dimension * sizeof *b->numbers);
        b->coding.offsets = b->numbers;
        b->coding.steps = b->numbers + dimension;
    }
    if (b->coding.order) {
        b->order = malloc(dimension * sizeof *b->order + 1);
        if (!b->order) return false;
        memcpy(b->order, b->coding.order, dimension * sizeof *b->order);
        b->coding.order = b->order;
    }
    if (b->build.metric != APUS_METRIC_DOT) return true;
    b->lacking = malloc(b->count * sizeof *b->lacking + 1);
    if (!b->lacking) return false;
    for (uint32_t row = 0; row < b->count; row++) b->longest = fmax(b->longest, squared(b->rows + row * b->row_stride, dimension));
    for (uint32_t row = 0; row < b->count; row++)
        b->lacking[row] = (float)sqrt(fmax(0, b->longest - squared(b->rows + row * b->row_stride, dimension)));
    b->walked.bias = b->lacking;
    return true;
}

struct apus_builder *apus_builder_make(
    const struct apus_build *build, const float *rows, size_t stride, uint32_t count, const struct apus_codes *codes, uint32_t threads) {
    struct apus_builder *b = calloc(1, sizeof *b);
    if (!b) return NULL;
    b->build = *build;
    b->count = count;
    b->rows = rows;
    b->row_stride = stride;
    b->threads = threads;
    b->stride = (width_of(build) + 63) / 64 * 64;
    b->kernel = apus_pair_kernel_for(build->metric, false, build->isa);
    // On summed differences the angle is that of the distance itself.
    b->alpha = build->metric == APUS_METRIC_MANHATTAN ? sqrtf(build->slack_angle) : build->slack_angle;
    b->room = list_room(build->degree);
    size_t places = (size_t)count * b->room;
    b->codes = large((size_t)count * b->stride);
    b->lengths = malloc((size_t)count * sizeof *b->lengths + 1);
    b->links = large(places * sizeof *b->links);
    b->distances = large(places * sizeof *b->distances);
    b->counts = calloc(2, (size_t)count + 1);
    b->walkers = calloc(threads, sizeof *b->walkers);
    bool is_whole = b->codes && b->lengths && b->links && b->distances && b->counts && b->walkers && take_codes(b, codes);
    if (is_whole) b->locks = b->counts + count;
    uint32_t room = build->pool > APUS_ENTRIES ? build->pool : APUS_ENTRIES;
    for (uint32_t i = 0; is_whole && i < threads; i++) {
        struct walker *walker = b->walkers + i;
        walker->scratch = apus_scratch_make(count, room);
        walker->query = aligned_alloc(64, apus_query_bytes(b->coding.kind, build->dimension) + 64);
        walker->found = malloc(room * sizeof *walker->found);
        walker->items = malloc(room * sizeof *walker->items);
        is_whole = walker->scratch && walker->query && walker->found && walker->items;
    }
    if (is_whole) memset(b->links, 0xff, places * sizeof *b->links);
    if (is_whole && encode(b)) return b;
    apus_builder_free(b);
    return NULL;
}

void apus_builder_free(struct apus_builder *b) {
    if (!b) return;
    for (uint32_t i = 0; b->walkers && i < b->threads; i++) {
        apus_scratch_free(b->walkers[i].scratch);
        free(b->walkers[i].query);
        free(b->walkers[i].found);
        free(b->walkers[i].items);
    }
    free(b->walkers);
    free(b->codes);
    free(b->lengths);
    free(b->links);
    free(b->distances);
    free(b->counts);
    free(b->numbers);
    free(b->order);
    free(b->lacking);
    free(b);
}

void apus_builder_insert(struct apus_builder *b, uint32_t thread, uint32_t row) {
    struct walker *walker = b->walkers + thread;
    uint32_t kept = prune(b, walker->items, find_candidates(b, walker, row));
    lock(b, row);
    // Others may have linked here since: theirs stay as far as there is room.
    struct neighbour all[kept + b->room];
    uint32_t count = kept;
    memcpy(all, walker->items, kept * sizeof *all);
    for (uint32_t i = 0; i < b->counts[row]; i++) {
        struct neighbour item = item_at(b, row, i);
        bool is_known = false;
        for (uint32_t k = 0; k < kept && !is_known; k++) is_known = all[k].row == item.row;
        if (!is_known) all[count++] = item;
    }
    if (count > b->room) {
        qsort(all, count, sizeof *all, nearer);
        count = prune(b, all, count);
    }
    write_list(b, row, 0, all, count);
    unlock(b, row);
    for (uint32_t i = 0; i < kept; i++)
        link_back(b, walker->items[i].row, (struct neighbour){walker->items[i].distance, row});
}

void apus_builder_finish(struct apus_builder *b, uint32_t *links) {
    uint32_t degree = b->build.degree;
    for (uint32_t row = 0; row < b->count; row++) {
        struct neighbour items[b->room];
        uint32_t count = b->counts[row];
        for (uint32_t i = 0; i < count; i++) items[i] = item_at(b, row, i);
        qsort(items, count, sizeof *items, nearer);
        if (count > degree) count = prune(b, items, count);
        for (uint32_t i = 0; i < degree; i++) links[(size_t)row * degree + i] = i < count ? items[i].row : ~0u;
    }
}
