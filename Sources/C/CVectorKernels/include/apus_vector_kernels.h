// Distances between one query and many rows of float32, chosen at run time for the processor.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Implementations, weakest first. Each gives the sums of the same products in another order, so results differ in the last bits.
enum apus_kernel_level {
    APUS_KERNEL_PORTABLE = 0, // the compiler's vector types: SSE2 on x86-64, NEON on arm64
    APUS_KERNEL_AVX2 = 1,     // AVX2, FMA and F16C
    APUS_KERNEL_AVX512 = 2,   // AVX-512 F
};

enum apus_kernel_operation {
    APUS_KERNEL_DOT = 0,        // sum of products
    APUS_KERNEL_SQUARED_L2 = 1, // sum of squared differences
    APUS_KERNEL_L1 = 2,         // sum of absolute differences
};

// out[i] = operation(query, rows + i * stride) for i < count. `stride` counts floats, at least `dimension`.
// No alignment is needed; rows that start at multiples of 64 bytes are read faster.
typedef void (*apus_scan_kernel)(
    const float *query, const float *rows, size_t stride, size_t count, size_t dimension, float *out);

// The strongest level that this processor runs.
enum apus_kernel_level apus_kernel_best_level(void);

// The kernel of an operation at a level that the processor runs; NULL at a level that it does not, or that was not compiled in.
apus_scan_kernel apus_kernel(enum apus_kernel_operation operation, enum apus_kernel_level level);

// out[i] = in[i] as float32, exactly; `in` holds IEEE 754 half floats.
void apus_convert_f16(const uint16_t *in, float *out, size_t count);

// Has all lines of some bytes fetched, whatever lies there.
void apus_prefetch(const void *bytes, size_t count);

// Index of the first number that is not finite, or `count` if there is none.
size_t apus_first_not_finite(const float *values, size_t count);

// Visibility of rows. A row is there for a reader of moment `now` if born <= now < died. Both are written while readers read, hence
// atomically: a row that is used again gets its new birth first, then its death is taken back, so readers load the death first.
// Writes the offsets (0..<count) of the visible rows to `out`, ascending, and returns how many there are.
size_t apus_visible_rows(const uint64_t *born, const uint64_t *died, size_t count, uint64_t now, uint32_t *out);
uint64_t apus_load_moment(const uint64_t *cell);
void apus_store_moment(uint64_t *cell, uint64_t moment);
