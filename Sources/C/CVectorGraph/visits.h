// Which rows a walk has seen: a bit for each, and the words to clear afterwards.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct visits {
    uint64_t *seen;
    uint32_t *touched; // the words of `seen` that are not zero
    size_t touched_count;
};

static inline bool visits_make(struct visits *visits, uint32_t rows) {
    size_t words = ((size_t)rows + 63) / 64 + 1;
    *visits = (struct visits){.seen = calloc(words, sizeof *visits->seen), .touched = malloc((words + 1) * sizeof *visits->touched)};
    return visits->seen && visits->touched;
}

static inline void visits_free(struct visits *visits) {
    free(visits->seen);
    free(visits->touched);
}

// Whether the row was visited before; it is now. Without a branch, which would be guessed wrong every other time.
static inline bool visit(struct visits *visits, uint32_t row) {
    uint64_t *word = visits->seen + row / 64, before = *word, bit = 1ull << row % 64;
    visits->touched[visits->touched_count] = row / 64;
    visits->touched_count += before == 0;
    *word = before | bit;
    return before & bit;
}

static inline void visits_forget(struct visits *visits) {
    for (size_t i = 0; i < visits->touched_count; i++) visits->seen[visits->touched[i]] = 0;
    visits->touched_count = 0;
}
