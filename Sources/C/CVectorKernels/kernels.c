#include "apus_vector_kernels.h"

#include <math.h>
#include <string.h>

// Every kernel takes four rows at a time: the query's registers are loaded once for four rows, and four independent chains of
// additions hide the latency of the multiply-add. What is left over goes row by row through the same code with one row.
//
// `KERNEL` writes one scan over the given vector type; `STEP` is its inner step. Tails shorter than a vector are done
// one number at a time, in float, after the vector sums are added up.


static inline __attribute__((always_inline)) float scalar_dot(float sum, float a, float b) { return sum + a * b; }
static inline __attribute__((always_inline)) float scalar_squared_l2(float sum, float a, float b) { return sum + (a - b) * (a - b); }
static inline __attribute__((always_inline)) float scalar_l1(float sum, float a, float b) { return sum + fabsf(a - b); }

// SUFFIX names the level; VECTOR is its type of LANES floats; LOAD, ZERO, ADD_UP are its primitives; TARGET its attribute.
#define KERNEL(NAME, SUFFIX, STEP, TAIL)                                                                                             \
    TARGET_##SUFFIX static inline __attribute__((always_inline)) void NAME##_rows_##SUFFIX(                                          \
        const float *query, const float *rows, size_t stride, size_t dimension, float *out, const int width) {                       \
        VECTOR_##SUFFIX sums[4][2];                                                                                                  \
        for (int row = 0; row < width; row++) sums[row][0] = sums[row][1] = ZERO_##SUFFIX;                                           \
        size_t i = 0;                                                                                                                \
        for (; i + 2 * LANES_##SUFFIX <= dimension; i += 2 * LANES_##SUFFIX) {                                                       \
            VECTOR_##SUFFIX q0 = LOAD_##SUFFIX(query + i), q1 = LOAD_##SUFFIX(query + i + LANES_##SUFFIX);                           \
            for (int row = 0; row < width; row++) {                                                                                  \
                const float *x = rows + row * stride + i;                                                                            \
                sums[row][0] = STEP##_##SUFFIX(sums[row][0], q0, LOAD_##SUFFIX(x));                                                  \
                sums[row][1] = STEP##_##SUFFIX(sums[row][1], q1, LOAD_##SUFFIX(x + LANES_##SUFFIX));                                 \
            }                                                                                                                        \
        }                                                                                                                            \
        for (int row = 0; row < width; row++) {                                                                                      \
            float sum = ADD_UP_##SUFFIX(sums[row][0] + sums[row][1]);                                                                \
            for (size_t j = i; j < dimension; j++) sum = TAIL(sum, query[j], rows[row * stride + j]);                                \
            out[row] = sum;                                                                                                          \
        }                                                                                                                            \
    }                                                                                                                                \
    TARGET_##SUFFIX static void NAME##_##SUFFIX(                                                                                     \
        const float *query, const float *rows, size_t stride, size_t count, size_t dimension, float *out) {                          \
        size_t row = 0;                                                                                                              \
        for (; row + 4 <= count; row += 4) NAME##_rows_##SUFFIX(query, rows + row * stride, stride, dimension, out + row, 4);        \
        for (; row < count; row++) NAME##_rows_##SUFFIX(query, rows + row * stride, stride, dimension, out + row, 1);                \
    }

#define KERNELS(SUFFIX)                               \
    KERNEL(dot, SUFFIX, DOT, scalar_dot)              \
    KERNEL(squared_l2, SUFFIX, SQUARED_L2, scalar_squared_l2) \
    KERNEL(l1, SUFFIX, L1, scalar_l1)

// Portable: the compiler's vector types.

typedef float float4 __attribute__((vector_size(16)));
typedef int32_t int4 __attribute__((vector_size(16)));

static inline __attribute__((always_inline)) float4 load4(const float *p) {
    float4 v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline __attribute__((always_inline)) float4 absolute4(float4 v) { return (float4)((int4)v & 0x7fffffff); }

#define TARGET_portable
#define VECTOR_portable float4
#define LANES_portable 4
#define ZERO_portable ((float4){0})
#define LOAD_portable load4
#define ADD_UP_portable(v) (((v)[0] + (v)[2]) + ((v)[1] + (v)[3]))
#define DOT_portable(sum, a, b) ((sum) + (a) * (b))
#define SQUARED_L2_portable(sum, a, b) ({ float4 d_ = (a) - (b); (sum) + d_ * d_; })
#define L1_portable(sum, a, b) ((sum) + absolute4((a) - (b)))
KERNELS(portable)

#if defined(__x86_64__)
#include <immintrin.h>

#define TARGET_avx2 __attribute__((target("avx2,fma,f16c")))
#define VECTOR_avx2 __m256
#define LANES_avx2 8
#define ZERO_avx2 _mm256_setzero_ps()
#define LOAD_avx2 _mm256_loadu_ps
#define ADD_UP_avx2 add_up_avx2
#define DOT_avx2(sum, a, b) _mm256_fmadd_ps((a), (b), (sum))
#define SQUARED_L2_avx2(sum, a, b) ({ __m256 d_ = _mm256_sub_ps((a), (b)); _mm256_fmadd_ps(d_, d_, (sum)); })
#define L1_avx2(sum, a, b) _mm256_add_ps((sum), _mm256_andnot_ps(_mm256_set1_ps(-0.0f), _mm256_sub_ps((a), (b))))
TARGET_avx2 static inline __attribute__((always_inline)) float add_up_avx2(__m256 v) {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
KERNELS(avx2)

#define TARGET_avx512 __attribute__((target("avx512f,avx2,fma")))
#define VECTOR_avx512 __m512
#define LANES_avx512 16
#define ZERO_avx512 _mm512_setzero_ps()
#define LOAD_avx512 _mm512_loadu_ps
#define ADD_UP_avx512 _mm512_reduce_add_ps
#define DOT_avx512(sum, a, b) _mm512_fmadd_ps((a), (b), (sum))
#define SQUARED_L2_avx512(sum, a, b) ({ __m512 d_ = _mm512_sub_ps((a), (b)); _mm512_fmadd_ps(d_, d_, (sum)); })
#define L1_avx512(sum, a, b) _mm512_add_ps((sum), _mm512_abs_ps(_mm512_sub_ps((a), (b))))
KERNELS(avx512)

TARGET_avx2 static void convert_f16_f16c(const uint16_t *in, float *out, size_t count) {
    size_t i = 0;
    for (; i + 8 <= count; i += 8) _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(in + i))));
    for (; i < count; i++) out[i] = _cvtsh_ss(in[i]);
}
#endif

static float f16_to_f32(uint16_t half) {
    _Float16 value;
    memcpy(&value, &half, 2);
    return (float)value;
}

void apus_convert_f16(const uint16_t *in, float *out, size_t count) {
#if defined(__x86_64__)
    if (apus_kernel_best_level() >= APUS_KERNEL_AVX2) {
        convert_f16_f16c(in, out, count);
        return;
    }
#endif
    for (size_t i = 0; i < count; i++) out[i] = f16_to_f32(in[i]);
}

enum apus_kernel_level apus_kernel_best_level(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c"))
        return __builtin_cpu_supports("avx512f") ? APUS_KERNEL_AVX512 : APUS_KERNEL_AVX2;
#endif
    return APUS_KERNEL_PORTABLE;
}

apus_scan_kernel apus_kernel(enum apus_kernel_operation operation, enum apus_kernel_level level) {
    static const apus_scan_kernel kernels[3][3] = {
        {dot_portable, squared_l2_portable, l1_portable},
#if defined(__x86_64__)
        {dot_avx2, squared_l2_avx2, l1_avx2},
        {dot_avx512, squared_l2_avx512, l1_avx512},
#endif
    };
    if (level > apus_kernel_best_level()) return NULL;
    return kernels[level][operation];
}

void apus_prefetch(const void *bytes, size_t count) {
    for (size_t line = 0; line < count; line += 64) __builtin_prefetch((const char *)bytes + line);
}

size_t apus_first_not_finite(const float *values, size_t count) {
    // Finite numbers have an exponent below 255; a block's worst exponent is found without a branch for each number.
    size_t i = 0;
    for (; i + 64 <= count; i += 64) {
        uint32_t worst = 0;
        for (size_t j = 0; j < 64; j++) {
            uint32_t bits;
            memcpy(&bits, values + i + j, 4);
            bits &= 0x7f800000;
            worst = bits > worst ? bits : worst;
        }
        if (worst == 0x7f800000) break;
    }
    for (; i < count; i++)
        if (!isfinite(values[i])) return i;
    return count;
}

uint64_t apus_load_moment(const uint64_t *cell) { return __atomic_load_n(cell, __ATOMIC_ACQUIRE); }

void apus_store_moment(uint64_t *cell, uint64_t moment) { __atomic_store_n(cell, moment, __ATOMIC_RELEASE); }

size_t apus_visible_rows(const uint64_t *born, const uint64_t *died, size_t count, uint64_t now, uint32_t *out) {
    size_t visible = 0;
    for (size_t row = 0; row < count; row++) {
        out[visible] = (uint32_t)row;
        // The death first: a row that is used again gets its new birth before its death is taken back.
        uint64_t death = apus_load_moment(died + row);
        visible += now < death && apus_load_moment(born + row) <= now;
    }
    return visible;
}
