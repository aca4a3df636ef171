// Kernels between one prepared query and many coded rows.
#pragma once

#include "apus_vector_graph.h"

// Whether codes hold numbers rather than steps.
static inline bool is_float(enum apus_code_kind kind) { return kind == APUS_CODE_F16 || kind == APUS_CODE_F32; }

// Has all lines of a row fetched.
static inline void prefetch_row(const void *row, size_t stride) {
    for (size_t line = 0; line < stride; line += 64) __builtin_prefetch((const char *)row + line);
}

// out[i] = kernel(query, row ids[i]). `stride` counts bytes and is a multiple of 64.
typedef void (*apus_code_kernel)(
    const void *query, const uint8_t *rows, size_t stride, const uint32_t *ids, size_t count, float *out);

// The kernel for codes of a kind under a metric, by the strongest instructions up to `isa` that the processor has.
apus_code_kernel apus_code_kernel_for(enum apus_code_kind kind, enum apus_metric metric, enum apus_isa isa);

// Products of rows of signed numbers of 8 bits (-127...127) or, if they are wide, 16 bits, and the summed differences of those of 8; for
// building. `stride` counts bytes and is a multiple of 64.
typedef int32_t (*apus_pair_kernel)(const void *a, const void *b, size_t stride);
apus_pair_kernel apus_pair_kernel_for(enum apus_metric metric, bool is_wide, enum apus_isa isa);
