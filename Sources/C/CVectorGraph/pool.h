// The candidates of a walk, in order of their distance.
#pragma once

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// Pools are changed so many places at a time: there is room before and behind them.
enum { PLACES = 8 };

// The highest bit of a candidate's row says that its links were followed.
#define FOLLOWED 0x80000000u

// Memory for one pool at a time.
struct pool_room {
    float *distances;
    uint32_t *rows;
    uint32_t capacity;
};

static inline bool pool_room_make(struct pool_room *room, uint32_t capacity) {
    size_t places = (size_t)capacity + 2 * PLACES;
    *room = (struct pool_room){malloc(places * sizeof(float)), malloc(places * sizeof(uint32_t)), capacity};
    if (!room->distances || !room->rows) return false;
    for (int i = 0; i < PLACES; i++) room->distances[i] = -INFINITY;
    return true;
}

static inline void pool_room_free(struct pool_room *room) {
    free(room->distances);
    free(room->rows);
}

// Distances and rows apart. `cursor` is the first that may not have been followed.
struct pool {
    float *distances;
    uint32_t *rows;
    uint32_t size, limit, cursor;
};

static inline struct pool empty_pool(const struct pool_room *room, uint32_t limit) {
    if (limit > room->capacity) limit = room->capacity;
    return (struct pool){.distances = room->distances + PLACES, .rows = room->rows + PLACES, .limit = limit};
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

// The next candidate to follow; false when there is none within reach.
static inline bool pool_next(struct pool *pool, float reach, uint32_t *row) {
    while (pool->cursor < pool->size && pool->rows[pool->cursor] & FOLLOWED) pool->cursor++;
    if (pool->cursor >= pool->size || pool->distances[pool->cursor] > reach) return false;
    *row = pool->rows[pool->cursor];
    pool->rows[pool->cursor] |= FOLLOWED;
    return true;
}

// The candidates that are likely to be followed next, at most `most`.
static inline uint32_t pool_ahead(const struct pool *pool, uint32_t *rows, uint32_t most) {
    uint32_t count = 0;
    for (uint32_t i = pool->cursor; i < pool->size && count < most; i++)
        if (!(pool->rows[i] & FOLLOWED)) rows[count++] = pool->rows[i];
    return count;
}
