#include "kernels.h"
#include "visits.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// The graph is built on codes of signed bytes of one size around the mean, which makes distances between rows whole numbers: squared
// Euclidean, or summed differences for the Manhattan metric. For the dot product each row gets more numbers, so that all have the length
// of the longest; the nearest by distance is then the one with the largest product (Bachrach et al., RecSys 2014).

enum {
    SPREAD = 64, // numbers over which the length that a row lacks is spread, because one would be cut
};

// How many links a row's list holds until it is pruned: some room keeps it from being pruned at each new one.
static uint32_t list_room(uint32_t degree) { return degree + degree * 3 / 10; }

struct neighbour {
    uint32_t distance, row;
};

// A row's list while it is built. Readers see `count` and the rows by atomic loads, and may find some of an old list and some of a
// new one: all are rows, so the walk goes on well. Writers hold the lock.
struct list {
    uint8_t lock;
    uint32_t count;
    struct neighbour items[];
};

// One thread's memory.
struct walker {
    struct visits visits;
    struct neighbour *pool; // the highest bit of `row` says that its links were followed
    uint32_t size, cursor;
};

#define FOLLOWED 0x80000000u

struct apus_builder {
    struct apus_build build;
    uint32_t count;
    size_t stride;
    int8_t *codes;
    int32_t *lengths; // squared, of the codes
    apus_pair_kernel kernel;
    float alpha;

    uint8_t *lists;
    size_t list_bytes;
    struct walker *walkers;
    uint32_t threads;
};

// MARK: Codes

static uint32_t width_of(const struct apus_build *build) {
    return build->metric == APUS_METRIC_DOT ? build->dimension + SPREAD : build->dimension;
}

static double squared(const float *row, uint32_t dimension) {
    double sum = 0;
    for (uint32_t d = 0; d < dimension; d++) sum += (double)row[d] * row[d];
    return sum;
}

static bool encode(struct apus_builder *b, const float *rows, size_t stride) {
    uint32_t dimension = b->build.dimension, count = b->count, width = width_of(&b->build);
    uint32_t sample = count < 4096 ? count : 4096;
    float *mean = calloc(width, sizeof *mean);
    if (!mean) return false;
    double longest = 0;
    bool is_dot = b->build.metric == APUS_METRIC_DOT;
    if (is_dot)
        for (uint32_t row = 0; row < count; row++) longest = fmax(longest, squared(rows + row * stride, dimension));
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
    if (is_dot) most = fmax(most, fmin(sqrt(longest / SPREAD), 6 * fmax(widest, sqrt(longest / dimension))));
    double size = most > 0 && isfinite(most) ? most / 127 : 1;
    for (uint32_t row = 0; row < count; row++) {
        int8_t *code = b->codes + row * b->stride;
        const float *x = rows + row * stride;
        float lacking = is_dot ? (float)sqrt(fmax(0, longest - squared(x, dimension)) / SPREAD) : 0;
        for (uint32_t d = 0; d < width; d++) {
            double c = round((d < dimension ? x[d] - mean[d] : lacking) / size);
            code[d] = (int8_t)(c > 127 ? 127 : c < -127 ? -127 : c);
        }
    }
    free(mean);
    for (uint32_t row = 0; row < count; row++) {
        const int8_t *code = b->codes + row * b->stride;
        int32_t sum = 0;
        for (size_t i = 0; i < b->stride; i++) sum += code[i] * code[i];
        b->lengths[row] = sum;
    }
    return true;
}

static inline uint32_t distance(const struct apus_builder *b, uint32_t x, uint32_t y) {
    int32_t raw = b->kernel(b->codes + x * b->stride, b->codes + y * b->stride, b->stride);
    if (b->build.metric == APUS_METRIC_MANHATTAN) return (uint32_t)raw;
    return (uint32_t)(b->lengths[x] + b->lengths[y] - 2 * raw);
}

static inline void prefetch(const struct apus_builder *b, uint32_t row) { prefetch_row(b->codes + row * b->stride, b->stride); }

// MARK: Lists

static inline struct list *list_of(const struct apus_builder *b, uint32_t row) { return (struct list *)(void *)(b->lists + row * b->list_bytes); }

static void lock(struct list *list) {
    while (__atomic_exchange_n(&list->lock, 1, __ATOMIC_ACQUIRE))
        while (__atomic_load_n(&list->lock, __ATOMIC_RELAXED)) {}
}
static void unlock(struct list *list) { __atomic_store_n(&list->lock, 0, __ATOMIC_RELEASE); }

static inline uint32_t row_at(const struct list *list, uint32_t i) { return __atomic_load_n(&list->items[i].row, __ATOMIC_RELAXED); }

static void write_list(struct list *list, const struct neighbour *items, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        list->items[i].distance = items[i].distance;
        __atomic_store_n(&list->items[i].row, items[i].row, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&list->count, count, __ATOMIC_RELEASE);
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
    struct list *list = list_of(b, to);
    uint32_t room = list_room(b->build.degree);
    lock(list);
    uint32_t count = list->count;
    for (uint32_t i = 0; i < count; i++)
        if (list->items[i].row == item.row) {
            unlock(list);
            return;
        }
    if (count < room) {
        list->items[count].distance = item.distance;
        __atomic_store_n(&list->items[count].row, item.row, __ATOMIC_RELAXED);
        __atomic_store_n(&list->count, count + 1, __ATOMIC_RELEASE);
    } else {
        struct neighbour items[room + 1];
        memcpy(items, list->items, room * sizeof *items);
        items[room] = item;
        qsort(items, room + 1, sizeof *items, nearer);
        write_list(list, items, prune(b, items, room + 1));
    }
    unlock(list);
}

// MARK: Walking

static void offer(struct walker *walker, uint32_t limit, struct neighbour item) {
    if (walker->size == limit && item.distance >= walker->pool[limit - 1].distance) return;
    uint32_t low = 0, high = walker->size;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (walker->pool[middle].distance <= item.distance) low = middle + 1;
        else high = middle;
    }
    if (walker->size < limit) walker->size++;
    memmove(walker->pool + low + 1, walker->pool + low, (walker->size - 1 - low) * sizeof item);
    walker->pool[low] = item;
    if (low < walker->cursor) walker->cursor = low;
}

static void score(struct apus_builder *b, struct walker *walker, uint32_t row, const uint32_t *rows, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        offer(walker, b->build.pool, (struct neighbour){distance(b, row, rows[i]), rows[i]});
}

// Follows links until no candidate is left.
static void follow(struct apus_builder *b, struct walker *walker, uint32_t row) {
    uint32_t batch[list_room(b->build.degree)];
    for (walker->cursor = 0; walker->cursor < walker->size;) {
        struct neighbour *candidate = walker->pool + walker->cursor;
        walker->cursor++;
        if (candidate->row & FOLLOWED) continue;
        const struct list *list = list_of(b, candidate->row);
        candidate->row |= FOLLOWED;
        uint32_t links = __atomic_load_n(&list->count, __ATOMIC_ACQUIRE), count = 0;
        for (uint32_t i = 0; i < links; i++) {
            uint32_t to = row_at(list, i);
            if (to == row || visit(&walker->visits, to)) continue;
            batch[count++] = to;
            prefetch(b, to);
        }
        score(b, walker, row, batch, count);
    }
}

static void find_candidates(struct apus_builder *b, struct walker *walker, uint32_t row) {
    walker->size = 0;
    for (uint32_t i = 0; i < APUS_ENTRIES && i < row; i++) {
        visit(&walker->visits, i);
        score(b, walker, row, &i, 1);
    }
    follow(b, walker, row);
    visits_forget(&walker->visits);
    for (uint32_t i = 0; i < walker->size; i++) walker->pool[i].row &= ~FOLLOWED;
}

// MARK: The interface

struct apus_builder *apus_builder_make(
    const struct apus_build *build, const float *rows, size_t stride, uint32_t count, uint32_t threads) {
    struct apus_builder *b = calloc(1, sizeof *b);
    if (!b) return NULL;
    b->build = *build;
    b->count = count;
    b->threads = threads;
    b->stride = (width_of(build) + 63) / 64 * 64;
    b->kernel = apus_pair_kernel_for(build->metric, build->isa);
    // On summed differences the angle is that of the distance itself.
    b->alpha = build->metric == APUS_METRIC_MANHATTAN ? sqrtf(build->slack_angle) : build->slack_angle;
    b->list_bytes = sizeof(struct list) + list_room(build->degree) * sizeof(struct neighbour);
    b->codes = aligned_alloc(64, (size_t)count * b->stride + 64);
    b->lengths = malloc((size_t)count * sizeof *b->lengths + 1);
    b->lists = calloc(count + 1, b->list_bytes);
    b->walkers = calloc(threads, sizeof *b->walkers);
    bool is_whole = b->codes && b->lengths && b->lists && b->walkers;
    for (uint32_t i = 0; is_whole && i < threads; i++) {
        b->walkers[i].pool = malloc((build->pool + 1) * sizeof(struct neighbour));
        is_whole = visits_make(&b->walkers[i].visits, count) && b->walkers[i].pool;
    }
    if (is_whole) {
        memset(b->codes, 0, (size_t)count * b->stride);
        is_whole = encode(b, rows, stride);
    }
    if (is_whole) return b;
    apus_builder_free(b);
    return NULL;
}

void apus_builder_free(struct apus_builder *b) {
    if (!b) return;
    for (uint32_t i = 0; b->walkers && i < b->threads; i++) {
        visits_free(&b->walkers[i].visits);
        free(b->walkers[i].pool);
    }
    free(b->walkers);
    free(b->codes);
    free(b->lengths);
    free(b->lists);
    free(b);
}

void apus_builder_insert(struct apus_builder *b, uint32_t thread, uint32_t row) {
    struct walker *walker = b->walkers + thread;
    find_candidates(b, walker, row);
    uint32_t kept = prune(b, walker->pool, walker->size);
    struct list *list = list_of(b, row);
    lock(list);
    // Others may have linked here since: theirs stay as far as there is room.
    struct neighbour all[2 * list_room(b->build.degree)];
    uint32_t count = kept;
    memcpy(all, walker->pool, kept * sizeof *all);
    for (uint32_t i = 0; i < list->count; i++) {
        bool is_known = false;
        for (uint32_t k = 0; k < kept && !is_known; k++) is_known = all[k].row == list->items[i].row;
        if (!is_known) all[count++] = list->items[i];
    }
    if (count > list_room(b->build.degree)) {
        qsort(all, count, sizeof *all, nearer);
        count = prune(b, all, count);
    }
    write_list(list, all, count);
    unlock(list);
    for (uint32_t i = 0; i < kept; i++) {
        struct neighbour item = walker->pool[i];
        link_back(b, item.row, (struct neighbour){item.distance, row});
    }
}

void apus_builder_finish(struct apus_builder *b, uint32_t *links) {
    uint32_t degree = b->build.degree;
    for (uint32_t row = 0; row < b->count; row++) {
        struct list *list = list_of(b, row);
        qsort(list->items, list->count, sizeof *list->items, nearer);
        if (list->count > degree) list->count = prune(b, list->items, list->count);
        for (uint32_t i = 0; i < degree; i++) links[(size_t)row * degree + i] = i < list->count ? list->items[i].row : ~0u;
    }
}
