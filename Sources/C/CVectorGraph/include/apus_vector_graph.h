// A graph over the rows of an immutable table, for approximate nearest neighbour search: the lowest level of HNSW (Malkov and Yashunin,
// arXiv:1603.09320) with the pruning rule of DiskANN (Subramanya et al., NeurIPS 2019), searched on quantised codes.
//
// The rows are in random order, so that the first of them are a sample: a search begins at the nearest of those. Upper levels were measured
// to bring nothing beside that on 117,659 rows.
//
// All arrays are the caller's: what is built here can be a mapped file. Distances are smaller for nearer rows; what they are for each metric
// is said at `apus_metric`. They are never negative but for rounding and the dot product.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Instructions that the kernels use, weakest first.
enum apus_isa {
    APUS_ISA_PORTABLE = 0,
    APUS_ISA_AVX2 = 1,   // AVX2, FMA, F16C
    APUS_ISA_AVX512 = 2, // AVX-512 F, BW, VL and VNNI
};
enum apus_isa apus_isa_best(void);

enum apus_metric {
    APUS_METRIC_COSINE = 0,    // of rows and queries of length 1: 1 - product
    APUS_METRIC_DOT = 1,       // - product
    APUS_METRIC_EUCLIDEAN = 2, // squared
    APUS_METRIC_MANHATTAN = 3,
};

// How a row is coded.
enum apus_code_kind {
    APUS_CODE_THIRDS = 0, // three numbers in a byte: 8, 8 and 4 steps of their dimensions' own sizes; not for the Manhattan metric
    APUS_CODE_4BIT = 1,   // each number in 16 steps; not for the Manhattan metric
    APUS_CODE_8BIT = 2,   // in 128 steps; Manhattan: in 256 steps of one size for all dimensions
    APUS_CODE_F16 = 3,
    APUS_CODE_F32 = 4,
};

// MARK: Codes

// How codes are read. `offsets` and `steps` have one number for each place in a code: a coded c stands for offset + step * c. `order` has
// each place's dimension, for THIRDS only: those that vary least come last, where there are fewer steps. Else place and dimension are the
// same. F16 and F32 use none of them.
struct apus_coding {
    enum apus_code_kind kind;
    enum apus_metric metric;
    uint32_t dimension;
    size_t stride; // bytes from row to row, a multiple of 64
    const float *offsets, *steps;
    const uint32_t *order;
    float longest_squared; // squared length of the longest row, for the dot product: what a search takes for near depends on it
};

size_t apus_code_stride(enum apus_code_kind kind, uint32_t dimension);

// Chooses offsets, steps and order from `count` sampled rows of float32.
void apus_code_train(
    enum apus_code_kind kind, enum apus_metric metric, uint32_t dimension, const float *rows, size_t stride, size_t count,
    float *offsets, float *steps, uint32_t *order);

// Writes the code of one row (`stride` bytes, the rest zero).
void apus_code_encode(const struct apus_coding *coding, const float *row, void *code);

// A row's term of the distance that its code does not give: its squared length for the Euclidean metric, else 0.
float apus_code_bias(enum apus_metric metric, uint32_t dimension, const float *row);

// A query as the kernels want it. `code` has room for apus_query_bytes() and is aligned to 64.
struct apus_query {
    const void *code;
    float base, bias_scale, scale; // distance = base + bias_scale * bias[row] + scale * kernel(query, row)
    float noise; // how far such a distance is off but for one row in thousands: four times its deviation
    float least; // no distance is less, but for rounding: 0, or half of what makes the dot product's like the Euclidean distance
};
size_t apus_query_bytes(enum apus_code_kind kind, uint32_t dimension);
void apus_query_prepare(const struct apus_coding *coding, const float *query, void *code, struct apus_query *prepared);

// A table of codes. `bias` may be NULL (all zero).
struct apus_codes {
    const struct apus_coding *coding;
    const uint8_t *rows; // aligned to 64
    const float *bias;
    uint32_t count;
};

// MARK: Graph

struct apus_graph {
    const uint32_t *links; // count * degree, each list nearest first, ended by ~0 where it is not full
    uint32_t count, degree; // degree: at most APUS_MOST_LINKS
};

enum { APUS_MOST_LINKS = 64 };

// The first rows, where a search begins.
enum { APUS_ENTRIES = 64 };

// MARK: Search

struct apus_search {
    uint32_t pool;      // candidates kept at most, at least `wanted`
    uint32_t wanted;    // of those found so many are kept, whether they are within reach of `slack` or not
    uint32_t stop_rank; // with `slack`: candidates farther than (1 + slack) * the distance of this many nearest are not followed
    float slack;        // of that distance (from the least there is), or of the codes' noise where that is more; negative: no such stop
    // Rows that are truly farther than this are not asked for; INFINITY: all are. With `slack`, a search stops at what is so much farther than
    // this, or than its own few nearest, which lead it there.
    float bound;
    // Whether a row is wanted; NULL: all are. Rows that are not wanted are followed, but neither found nor counted for the stop.
    bool (*accepts)(void *context, uint32_t row);
    void *context;
    uint64_t budget; // distances after which the search is given up; 0: none
};

struct apus_found {
    float distance;
    uint32_t row;
};

// Memory for one search at a time.
struct apus_scratch;
struct apus_scratch *apus_scratch_make(uint32_t rows, uint32_t largest_pool);
void apus_scratch_free(struct apus_scratch *scratch);

// Writes the nearest rows found to `out` (room for `pool`), nearest first, and returns how many. `is_exhausted` (may be NULL) tells
// whether the budget ended the search.
uint32_t apus_graph_search(
    const struct apus_graph *graph, const struct apus_codes *codes, const struct apus_query *query, const struct apus_search *search,
    enum apus_isa isa, struct apus_scratch *scratch, struct apus_found *out,
    bool *is_exhausted);

// Distances of given rows, which may lie anywhere.
void apus_codes_distances(
    const struct apus_codes *codes, const struct apus_query *query, enum apus_isa isa, const uint32_t *rows, size_t count, float *out);

// The `wanted` nearest of the given rows, nearest first, into `out`; returns how many. Rows that are not in the table are left out.
uint32_t apus_codes_nearest(
    const struct apus_codes *codes, const struct apus_query *query, enum apus_isa isa, const uint32_t *rows, size_t count,
    struct apus_scratch *scratch, uint32_t wanted, struct apus_found *out);

// Compares `found`, in ascending order, again by better codes, as far as one may come among the best `count`. Those that were compared are
// put first, in their new order; returns how many.
uint32_t apus_rescore(
    const struct apus_codes *better, const struct apus_query *query, enum apus_isa isa, struct apus_found *found, uint32_t found_count,
    uint32_t count);

// MARK: Building

struct apus_build {
    enum apus_metric metric;
    uint32_t dimension;
    uint32_t degree;   // links of a row
    uint32_t pool;     // candidates looked at for a row's links
    float slack_angle; // a link is left out where another leads nearer to its end than this much times: DiskANN's alpha, on squared distances
    enum apus_isa isa;
};

// Builds a graph:
//
//     // on any number of threads, each row once, in about this order
//     for (row = 0; row < count; row++) apus_builder_insert(builder, thread, row);
//     apus_builder_finish(builder, links);
//
// One thread builds the same graph each time.
struct apus_builder;

// Over `count` rows of float32 (of length 1 for the cosine). Candidates are found by `codes` of them, as a search will; both stay until the
// builder is freed. NULL without memory.
struct apus_builder *apus_builder_make(
    const struct apus_build *build, const float *rows, size_t stride, uint32_t count, const struct apus_codes *codes, uint32_t threads);
void apus_builder_free(struct apus_builder *builder);
void apus_builder_insert(struct apus_builder *builder, uint32_t thread, uint32_t row);
// Writes the links: count * degree.
void apus_builder_finish(struct apus_builder *builder, uint32_t *links);

// MARK: Rows that are compared exactly

// A row in signed bytes of its own size, and how far those are from it. Nothing is trained, so rows of any kind are told far by it.
struct apus_rough {
    float size;   // a code c stands for size * c
    float error;  // length of what that misses, at least; infinite for numbers that are not coded
    float length; // of the row, at most
};

// Bytes from code to code.
size_t apus_rough_stride(uint32_t dimension);

// Of `scale` * row; the rest of the stride is zero. A scale that is no number gives an infinite error.
struct apus_rough apus_rough_encode(const float *row, float scale, uint32_t dimension, int8_t *code);

// Writes for each of `count` rows that lie together a bound that its distance is not below, however it is computed in floats: of minus the
// product for the dot product and the cosine, of the square for the Euclidean distance. No number where nothing is known. Codes are aligned
// to 64.
void apus_rough_distances(
    enum apus_metric metric, const int8_t *query_code, struct apus_rough query, const int8_t *codes, const struct apus_rough *rows,
    uint32_t dimension, size_t count, enum apus_isa isa, float *out);
