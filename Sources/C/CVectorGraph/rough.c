#include "kernels.h"

#include <float.h>
#include <math.h>
#include <string.h>

// Numbers beyond these are not coded: what is computed from their codes might leave a float's range.
static const float LEAST = 1e-15f, MOST = 1e15f;

size_t apus_rough_stride(uint32_t dimension) { return ((size_t)dimension + 63) / 64 * 64; }

enum { LANES = 16 };

// Sums in lanes, so that the compiler may use vectors without reordering anything.
#if defined(__x86_64__)
__attribute__((target_clones("avx512f", "avx2", "default")))
#endif
struct apus_rough apus_rough_encode(const float *row, float scale, uint32_t dimension, int8_t *code) {
    float mosts[LANES] = {0}, most = 0;
    uint32_t whole = dimension / LANES * LANES;
    for (uint32_t d = 0; d < whole; d += LANES)
        for (uint32_t lane = 0; lane < LANES; lane++) {
            float x = fabsf(row[d + lane] * scale);
            mosts[lane] = x > mosts[lane] ? x : mosts[lane];
        }
    for (uint32_t d = whole; d < dimension; d++) mosts[d - whole] = fmaxf(mosts[d - whole], fabsf(row[d] * scale));
    for (uint32_t lane = 0; lane < LANES; lane++) most = fmaxf(most, mosts[lane]);
    memset(code + dimension, 0, apus_rough_stride(dimension) - dimension);
    if (!(most >= LEAST && most <= MOST) || scale != scale) {
        memset(code, 0, dimension);
        // What is very small is as good as zero, and misses all.
        bool is_small = most < LEAST && scale == scale;
        return (struct apus_rough){0, is_small ? most * sqrtf((float)dimension) * 1.001f : INFINITY, is_small ? 0 : INFINITY};
    }
    // In steps: squares of what is very small would be 0.
    float size = most / 127, steps = 1 / size, missing[LANES] = {0};
    double squares[LANES] = {0}, missed = 0, squared = 0;
    for (uint32_t d = 0; d < whole; d += LANES)
        for (uint32_t lane = 0; lane < LANES; lane++) {
            float x = row[d + lane] * scale * steps, c = (float)(int32_t)(x + (x < 0 ? -0.5f : 0.5f));
            code[d + lane] = (int8_t)(int32_t)c;
            missing[lane] += (x - c) * (x - c);
            squares[lane] += (double)x * x;
        }
    for (uint32_t d = whole; d < dimension; d++) {
        float x = row[d] * scale * steps, c = (float)(int32_t)(x + (x < 0 ? -0.5f : 0.5f));
        code[d] = (int8_t)(int32_t)c;
        missing[d - whole] += (x - c) * (x - c);
        squares[d - whole] += (double)x * x;
    }
    for (uint32_t lane = 0; lane < LANES; lane++) {
        missed += missing[lane];
        squared += squares[lane];
    }
    // What was rounded on the way: of sums in lanes a thousandth, of each number in steps, which is at most 127, 2^-24 for each operation.
    double error = sqrt(missed) * 1.001 + sqrt((double)dimension) * 127 * 0x1p-22;
    return (struct apus_rough){size, (float)(size * error), (float)(size * sqrt(squared))};
}

void apus_rough_distances(
    enum apus_metric metric, const int8_t *query_code, struct apus_rough query, const int8_t *codes, const struct apus_rough *rows,
    uint32_t dimension, size_t count, enum apus_isa isa, float *out) {
    size_t stride = apus_rough_stride(dimension);
    apus_pair_kernel product = apus_pair_kernel_for(APUS_METRIC_DOT, false, isa);
    // With q' and r' for what the codes stand for: q r = q' r' + (q - q') r' + q (r - r'), and lengths bound the products of differences. What
    // comparing by floats rounds is at most a few ulps for each dimension, of the product of the lengths.
    double rounding = ((double)dimension + 64) * 0x1p-23;
    double by_length = query.error + rounding * query.length, by_error = (double)query.error + query.length;
    double squared = (double)query.length * query.length;
    for (size_t i = 0; i < count; i++) {
        struct apus_rough row = rows[i];
        double sum = product(query_code, codes + i * stride, stride);
        double most = (double)query.size * row.size * sum + by_length * row.length + by_error * row.error + FLT_MIN;
        double squares = squared + (double)row.length * row.length;
        out[i] = (float)(metric == APUS_METRIC_EUCLIDEAN ? squares - 2 * most - rounding * squares : -most);
    }
}
