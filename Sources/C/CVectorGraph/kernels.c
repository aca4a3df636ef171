#include "kernels.h"

#include <math.h>
#include <string.h>

// Four rows are taken at a time, so that the query is loaded once for them and their sums are independent of each other.
//
// NAME##_rows(query, r, stride, out, width) is the work on `width` rows, inlined with a constant width.
#define BATCHED(TARGET, NAME)                                                                                                  \
    TARGET static void NAME(                                                                                                   \
        const void *query, const uint8_t *rows, size_t stride, const uint32_t *ids, size_t count, float *out) {                \
        size_t i = 0;                                                                                                          \
        for (; i + 4 <= count; i += 4) {                                                                                       \
            const uint8_t *r[4] = {                                                                                            \
                rows + ids[i] * stride, rows + ids[i + 1] * stride, rows + ids[i + 2] * stride, rows + ids[i + 3] * stride};   \
            NAME##_rows(query, r, stride, out + i, 4);                                                                         \
        }                                                                                                                      \
        for (; i < count; i++) {                                                                                               \
            const uint8_t *r[1] = {rows + ids[i] * stride};                                                                    \
            NAME##_rows(query, r, stride, out + i, 1);                                                                         \
        }                                                                                                                      \
    }

#define INLINE static inline __attribute__((always_inline))

// MARK: Portable: the compiler's own vectors

static float f16_to_f32(uint16_t half) {
    _Float16 value;
    memcpy(&value, &half, 2);
    return (float)value;
}

INLINE void portable_q4_dot_rows(const void *query, const uint8_t *const *r, size_t stride, float *out, const int width) {
    const int8_t *low = query, *high = low + stride;
    for (int row = 0; row < width; row++) {
        int32_t sum = 0;
        for (size_t i = 0; i < stride; i++) sum += low[i] * (r[row][i] & 15) + high[i] * (r[row][i] >> 4);
        out[row] = (float)sum;
    }
}
BATCHED(, portable_q4_dot)

INLINE void portable_q3_dot_rows(const void *query, const uint8_t *const *r, size_t stride, float *out, const int width) {
    const int8_t *low = query, *middle = low + stride, *high = middle + stride;
    for (int row = 0; row < width; row++) {
        int32_t sum = 0;
        for (size_t i = 0; i < stride; i++)
            sum += low[i] * (r[row][i] & 7) + middle[i] * (r[row][i] >> 3 & 7) + high[i] * (r[row][i] >> 6);
        out[row] = (float)sum;
    }
}
BATCHED(, portable_q3_dot)

INLINE void portable_q8_dot_rows(const void *query, const uint8_t *const *r, size_t stride, float *out, const int width) {
    const int8_t *q = query;
    for (int row = 0; row < width; row++) {
        int32_t sum = 0;
        for (size_t i = 0; i < stride; i++) sum += q[i] * r[row][i];
        out[row] = (float)sum;
    }
}
BATCHED(, portable_q8_dot)

INLINE void portable_q8_sad_rows(const void *query, const uint8_t *const *r, size_t stride, float *out, const int width) {
    const uint8_t *q = query;
    for (int row = 0; row < width; row++) {
        int32_t sum = 0;
        for (size_t i = 0; i < stride; i++) sum += q[i] > r[row][i] ? q[i] - r[row][i] : r[row][i] - q[i];
        out[row] = (float)sum;
    }
}
BATCHED(, portable_q8_sad)

// Sums in eight lanes, so that the compiler may use vectors without reordering anything.
#define PORTABLE_FLOATS(NAME, TYPE, READ, STEP)                                                                               \
    INLINE void NAME##_rows(const void *query, const uint8_t *const *r, size_t stride, float *out, const int width) {         \
        const float *q = query;                                                                                               \
        for (int row = 0; row < width; row++) {                                                                               \
            const TYPE *x = (const TYPE *)(const void *)r[row];                                                               \
            float sums[8] = {0};                                                                                              \
            for (size_t i = 0; i < stride / sizeof(TYPE); i += 8)                                                             \
                for (size_t lane = 0; lane < 8; lane++) {                                                                     \
                    float a = q[i + lane], b = READ(x[i + lane]);                                                             \
                    sums[lane] += STEP;                                                                                       \
                }                                                                                                             \
            out[row] = ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));             \
        }                                                                                                                     \
    }                                                                                                                         \
    BATCHED(, NAME)

#define AS_IS(x) (x)
PORTABLE_FLOATS(portable_f16_dot, uint16_t, f16_to_f32, a * b)
PORTABLE_FLOATS(portable_f16_l2, uint16_t, f16_to_f32, (a - b) * (a - b))
PORTABLE_FLOATS(portable_f16_l1, uint16_t, f16_to_f32, fabsf(a - b))
PORTABLE_FLOATS(portable_f32_dot, float, AS_IS, a * b)
PORTABLE_FLOATS(portable_f32_l2, float, AS_IS, (a - b) * (a - b))
PORTABLE_FLOATS(portable_f32_l1, float, AS_IS, fabsf(a - b))

// Also for wider instructions, which the compiler finds by itself.
#define WIDE_PAIR_DOT(NAME, TARGET)                                             \
    TARGET static int32_t NAME(const void *x, const void *y, size_t stride) {   \
        const int16_t *a = x, *b = y;                                           \
        int32_t sum = 0;                                                        \
        for (size_t i = 0; i < stride / 2; i++) sum += a[i] * b[i];             \
        return sum;                                                             \
    }
WIDE_PAIR_DOT(portable_wide_pair_dot, )

static int32_t portable_pair_dot(const void *x, const void *y, size_t stride) {
    const int8_t *a = x, *b = y;
    int32_t sum = 0;
    for (size_t i = 0; i < stride; i++) sum += a[i] * b[i];
    return sum;
}

static int32_t portable_pair_l1(const void *x, const void *y, size_t stride) {
    const int8_t *a = x, *b = y;
    int32_t sum = 0;
    for (size_t i = 0; i < stride; i++) sum += a[i] > b[i] ? a[i] - b[i] : b[i] - a[i];
    return sum;
}

#if defined(__x86_64__)
#include <immintrin.h>

// MARK: AVX2

#define AVX2 __attribute__((target("avx2,fma,f16c")))

AVX2 INLINE int32_t add_up_i32(__m256i v) {
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)));
}

AVX2 INLINE float add_up_f32(__m256 v) {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

// Four rows' sums at a time take three additions of neighbours.
AVX2 INLINE void write_sums(const __m256i *sums, float *out, const int width) {
    if (width == 4) {
        __m256i pairs = _mm256_hadd_epi32(_mm256_hadd_epi32(sums[0], sums[1]), _mm256_hadd_epi32(sums[2], sums[3]));
        _mm_storeu_ps(out, _mm_cvtepi32_ps(_mm_add_epi32(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1))));
    } else {
        for (int row = 0; row < width; row++) out[row] = (float)add_up_i32(sums[row]);
    }
}

// maddubs adds pairs of products in 16 bits, which hold this many steps: each is at most 2 * 127 times the largest codes of a byte's parts,
// 7 + 7 + 3 or 15 + 15.
enum { Q3_STEPS = 7, Q4_STEPS = 4 };

AVX2 INLINE void avx2_q3_dot_rows(const void *query, const uint8_t *const *r, size_t stride, float *out, const int width) {
    const uint8_t *low = query, *middle = low + stride, *high = middle + stride;
    const __m256i seven = _mm256_set1_epi8(7), three = _mm256_set1_epi8(3), ones = _mm256_set1_epi16(1);
    __m256i sums[4];
    for (int row = 0; row < width; row++) sums[row] = _mm256_setzero_si256();
    for (size_t start = 0; start < stride; start += Q3_STEPS * 32) {
        size_t end = start + Q3_STEPS * 32 < stride ? start + Q3_STEPS * 32 : stride;
        __m256i words[4];
        for (int row = 0; row < width; row++) words[row] = _mm256_setzero_si256();
        for (size_t i = start; i < end; i += 32) {
            __m256i ql = _mm256_load_si256((const __m256i *)(low + i)), qm = _mm256_load_si256((const __m256i *)(middle + i)),
                    qh = _mm256_load_si256((const __m256i *)(high + i));
            for (int row = 0; row < width; row++) {
                __m256i x = _mm256_load_si256((const __m256i *)(r[row] + i));
                __m256i l = _mm256_maddubs_epi16(_mm256_and_si256(x, seven), ql);
                __m256i m = _mm256_maddubs_epi16(_mm256_and_si256(_mm256_srli_epi16(x, 3), seven), qm);
                __m256i h = _mm256_maddubs_epi16(_mm256_and_si256(_mm256_srli_epi16(x, 6), three), qh);
                words[row] = _mm256_add_epi16(words[row], _mm256_add_epi16(_mm256_add_epi16(l, m), h));
            }
        }
        for (int row = 0; row < width; row++) sums[row] = _mm256_add_epi32(sums[row], _mm256_madd_epi16(words[row], ones));
    }
    write_sums(sums, out, width);
}
BATCHED(AVX2, avx2_q3_dot)

AVX2 INLINE void avx2_q4_dot_rows(const void *query, const uint8_t *const *r, size_t stride, float *out, const int width) {
    const uint8_t *low = query, *high = low + stride;
    const __m256i nibble = _mm256_set1_epi8(15), ones = _mm256_set1_epi16(1);
    __m256i sums[4];
    for (int row = 0; row < width; row++) sums[row] = _mm256_setzero_si256();
    for (size_t start = 0; start < stride; start += Q4_STEPS * 32) {
        size_t end = start + Q4_STEPS * 32 < stride ? start + Q4_STEPS * 32 : stride;
        __m256i words[4];
        for (int row = 0; row < width; row++) words[row] = _mm256_setzero_si256();
        for (size_t i = start; i < end; i += 32) {
            __m256i ql = _mm256_load_si256((const __m256i *)(low + i)), qh = _mm256_load_si256((const __m256i *)(high + i));
            for (int row = 0; row < width; row++) {
                __m256i x = _mm256_load_si256((const __m256i *)(r[row] + i));
                __m256i l = _mm256_maddubs_epi16(_mm256_and_si256(x, nibble), ql);
                __m256i h = _mm256_maddubs_epi16(_mm256_and_si256(_mm256_srli_epi16(x, 4), nibble), qh);
                words[row] = _mm256_add_epi16(words[row], _mm256_add_epi16(l, h));
            }
        }
        for (int row = 0; row < width; row++) sums[row] = _mm256_add_epi32(sums[row], _mm256_madd_epi16(words[row], ones));
    }
    write_sums(sums, out, width);
}
BATCHED(AVX2, avx2_q4_dot)

// 127 * 127 * 2 is just below 2^15.
AVX2 INLINE void avx2_q8_dot_rows(const void *query, const uint8_t *const *r, size_t stride, float *out, const int width) {
    const uint8_t *q = query;
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i sums[4];
    for (int row = 0; row < width; row++) sums[row] = _mm256_setzero_si256();
    for (size_t i = 0; i < stride; i += 32) {
        __m256i y = _mm256_load_si256((const __m256i *)(q + i));
        for (int row = 0; row < width; row++) {
            __m256i x = _mm256_load_si256((const __m256i *)(r[row] + i));
            sums[row] = _mm256_add_epi32(sums[row], _mm256_madd_epi16(_mm256_maddubs_epi16(x, y), ones));
        }
    }
    write_sums(sums, out, width);
}
BATCHED(AVX2, avx2_q8_dot)

AVX2 INLINE void avx2_q8_sad_rows(const void *query, const uint8_t *const *r, size_t stride, float *out, const int width) {
    const uint8_t *q = query;
    __m256i sums[4];
    for (int row = 0; row < width; row++) sums[row] = _mm256_setzero_si256();
    for (size_t i = 0; i < stride; i += 32) {
        __m256i y = _mm256_load_si256((const __m256i *)(q + i));
        for (int row = 0; row < width; row++)
            sums[row] = _mm256_add_epi64(sums[row], _mm256_sad_epu8(_mm256_load_si256((const __m256i *)(r[row] + i)), y));
    }
    write_sums(sums, out, width);
}
BATCHED(AVX2, avx2_q8_sad)

#define AVX2_FLOATS(NAME, SIZE, LOAD, STEP)                                                                                  \
    AVX2 INLINE void NAME##_rows(const void *query, const uint8_t *const *r, size_t stride, float *out, const int width) {   \
        const float *q = query;                                                                                              \
        __m256 sums[4][2];                                                                                                   \
        for (int row = 0; row < width; row++) sums[row][0] = sums[row][1] = _mm256_setzero_ps();                             \
        for (size_t i = 0; i < stride / SIZE; i += 16)                                                                       \
            for (size_t half = 0; half < 2; half++) {                                                                        \
                __m256 a = _mm256_load_ps(q + i + 8 * half);                                                                 \
                for (int row = 0; row < width; row++) {                                                                      \
                    __m256 b = LOAD(r[row] + (i + 8 * half) * SIZE), sum = sums[row][half];                                  \
                    sums[row][half] = STEP;                                                                                  \
                }                                                                                                            \
            }                                                                                                                \
        for (int row = 0; row < width; row++) out[row] = add_up_f32(_mm256_add_ps(sums[row][0], sums[row][1]));              \
    }                                                                                                                        \
    BATCHED(AVX2, NAME)

#define AVX2_F16(p) _mm256_cvtph_ps(_mm_load_si128((const __m128i *)(p)))
#define AVX2_F32(p) _mm256_load_ps((const float *)(const void *)(p))
#define AVX2_DOT _mm256_fmadd_ps(a, b, sum)
#define AVX2_L2 ({ __m256 d = _mm256_sub_ps(a, b); _mm256_fmadd_ps(d, d, sum); })
#define AVX2_L1 _mm256_add_ps(sum, _mm256_andnot_ps(_mm256_set1_ps(-0.0f), _mm256_sub_ps(a, b)))
AVX2_FLOATS(avx2_f16_dot, 2, AVX2_F16, AVX2_DOT)
AVX2_FLOATS(avx2_f16_l2, 2, AVX2_F16, AVX2_L2)
AVX2_FLOATS(avx2_f16_l1, 2, AVX2_F16, AVX2_L1)
AVX2_FLOATS(avx2_f32_dot, 4, AVX2_F32, AVX2_DOT)
AVX2_FLOATS(avx2_f32_l2, 4, AVX2_F32, AVX2_L2)
AVX2_FLOATS(avx2_f32_l1, 4, AVX2_F32, AVX2_L1)

// maddubs wants one side without signs: |a| * (b with a's sign).
AVX2 static int32_t avx2_pair_dot(const void *row, const void *other, size_t stride) {
    const int8_t *a = row, *b = other;
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i sums[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    for (size_t i = 0; i < stride; i += 64)
        for (size_t half = 0; half < 2; half++) {
            __m256i x = _mm256_load_si256((const __m256i *)(a + i + 32 * half)), y = _mm256_load_si256((const __m256i *)(b + i + 32 * half));
            __m256i words = _mm256_maddubs_epi16(_mm256_abs_epi8(x), _mm256_sign_epi8(y, x));
            sums[half] = _mm256_add_epi32(sums[half], _mm256_madd_epi16(words, ones));
        }
    return add_up_i32(_mm256_add_epi32(sums[0], sums[1]));
}

WIDE_PAIR_DOT(avx2_wide_pair_dot, AVX2)

AVX2 static int32_t avx2_pair_l1(const void *row, const void *other, size_t stride) {
    const int8_t *a = row, *b = other;
    const __m256i shift = _mm256_set1_epi8(-128);
    __m256i sums = _mm256_setzero_si256();
    for (size_t i = 0; i < stride; i += 32) {
        __m256i x = _mm256_xor_si256(_mm256_load_si256((const __m256i *)(a + i)), shift);
        __m256i y = _mm256_xor_si256(_mm256_load_si256((const __m256i *)(b + i)), shift);
        sums = _mm256_add_epi64(sums, _mm256_sad_epu8(x, y));
    }
    return add_up_i32(sums);
}

// MARK: AVX-512

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")))

AVX512 INLINE void avx512_q3_dot_rows(const void *query, const uint8_t *const *r, size_t stride, float *out, const int width) {
    const uint8_t *low = query, *middle = low + stride, *high = middle + stride;
    const __m512i seven = _mm512_set1_epi8(7), three = _mm512_set1_epi8(3);
    __m512i sums[4][2];
    for (int row = 0; row < width; row++) sums[row][0] = sums[row][1] = _mm512_setzero_si512();
    for (size_t i = 0; i < stride; i += 64) {
        __m512i ql = _mm512_load_si512(low + i), qm = _mm512_load_si512(middle + i), qh = _mm512_load_si512(high + i);
        for (int row = 0; row < width; row++) {
            __m512i x = _mm512_load_si512(r[row] + i);
            sums[row][0] = _mm512_dpbusd_epi32(sums[row][0], _mm512_and_si512(x, seven), ql);
            sums[row][1] = _mm512_dpbusd_epi32(sums[row][1], _mm512_and_si512(_mm512_srli_epi16(x, 3), seven), qm);
            sums[row][0] = _mm512_dpbusd_epi32(sums[row][0], _mm512_and_si512(_mm512_srli_epi16(x, 6), three), qh);
        }
    }
    for (int row = 0; row < width; row++) out[row] = (float)_mm512_reduce_add_epi32(_mm512_add_epi32(sums[row][0], sums[row][1]));
}
BATCHED(AVX512, avx512_q3_dot)

AVX512 INLINE void avx512_q4_dot_rows(const void *query, const uint8_t *const *r, size_t stride, float *out, const int width) {
    const uint8_t *low = query, *high = low + stride;
    const __m512i nibble = _mm512_set1_epi8(15);
    __m512i sums[4][2];
    for (int row = 0; row < width; row++) sums[row][0] = sums[row][1] = _mm512_setzero_si512();
    for (size_t i = 0; i < stride; i += 64) {
        __m512i ql = _mm512_load_si512(low + i), qh = _mm512_load_si512(high + i);
        for (int row = 0; row < width; row++) {
            __m512i x = _mm512_load_si512(r[row] + i);
            sums[row][0] = _mm512_dpbusd_epi32(sums[row][0], _mm512_and_si512(x, nibble), ql);
            sums[row][1] = _mm512_dpbusd_epi32(sums[row][1], _mm512_and_si512(_mm512_srli_epi16(x, 4), nibble), qh);
        }
    }
    for (int row = 0; row < width; row++) out[row] = (float)_mm512_reduce_add_epi32(_mm512_add_epi32(sums[row][0], sums[row][1]));
}
BATCHED(AVX512, avx512_q4_dot)

AVX512 INLINE void avx512_q8_dot_rows(const void *query, const uint8_t *const *r, size_t stride, float *out, const int width) {
    const uint8_t *q = query;
    __m512i sums[4];
    for (int row = 0; row < width; row++) sums[row] = _mm512_setzero_si512();
    for (size_t i = 0; i < stride; i += 64) {
        __m512i y = _mm512_load_si512(q + i);
        for (int row = 0; row < width; row++) sums[row] = _mm512_dpbusd_epi32(sums[row], _mm512_load_si512(r[row] + i), y);
    }
    for (int row = 0; row < width; row++) out[row] = (float)_mm512_reduce_add_epi32(sums[row]);
}
BATCHED(AVX512, avx512_q8_dot)

AVX512 INLINE void avx512_q8_sad_rows(const void *query, const uint8_t *const *r, size_t stride, float *out, const int width) {
    const uint8_t *q = query;
    __m512i sums[4];
    for (int row = 0; row < width; row++) sums[row] = _mm512_setzero_si512();
    for (size_t i = 0; i < stride; i += 64) {
        __m512i y = _mm512_load_si512(q + i);
        for (int row = 0; row < width; row++) sums[row] = _mm512_add_epi64(sums[row], _mm512_sad_epu8(_mm512_load_si512(r[row] + i), y));
    }
    for (int row = 0; row < width; row++) out[row] = (float)_mm512_reduce_add_epi64(sums[row]);
}
BATCHED(AVX512, avx512_q8_sad)

#define AVX512_FLOATS(NAME, SIZE, LOAD, STEP)                                                                                  \
    AVX512 INLINE void NAME##_rows(const void *query, const uint8_t *const *r, size_t stride, float *out, const int width) {   \
        const float *q = query;                                                                                                \
        __m512 sums[4];                                                                                                        \
        for (int row = 0; row < width; row++) sums[row] = _mm512_setzero_ps();                                                 \
        for (size_t i = 0; i < stride / SIZE; i += 16) {                                                                       \
            __m512 a = _mm512_load_ps(q + i);                                                                                  \
            for (int row = 0; row < width; row++) {                                                                            \
                __m512 b = LOAD(r[row] + i * SIZE), sum = sums[row];                                                           \
                sums[row] = STEP;                                                                                              \
            }                                                                                                                  \
        }                                                                                                                      \
        for (int row = 0; row < width; row++) out[row] = _mm512_reduce_add_ps(sums[row]);                                      \
    }                                                                                                                          \
    BATCHED(AVX512, NAME)

#define AVX512_F16(p) _mm512_cvtph_ps(_mm256_load_si256((const __m256i *)(p)))
#define AVX512_F32(p) _mm512_load_ps(p)
#define AVX512_DOT _mm512_fmadd_ps(a, b, sum)
#define AVX512_L2 ({ __m512 d = _mm512_sub_ps(a, b); _mm512_fmadd_ps(d, d, sum); })
#define AVX512_L1 _mm512_add_ps(sum, _mm512_abs_ps(_mm512_sub_ps(a, b)))
AVX512_FLOATS(avx512_f16_dot, 2, AVX512_F16, AVX512_DOT)
AVX512_FLOATS(avx512_f16_l2, 2, AVX512_F16, AVX512_L2)
AVX512_FLOATS(avx512_f16_l1, 2, AVX512_F16, AVX512_L1)
AVX512_FLOATS(avx512_f32_dot, 4, AVX512_F32, AVX512_DOT)
AVX512_FLOATS(avx512_f32_l2, 4, AVX512_F32, AVX512_L2)
AVX512_FLOATS(avx512_f32_l1, 4, AVX512_F32, AVX512_L1)

// a + 128 has no sign, and the sum of 128 * b is taken off again.
AVX512 static int32_t avx512_pair_dot(const void *row, const void *other, size_t stride) {
    const int8_t *a = row, *b = other;
    const __m512i shift = _mm512_set1_epi8(-128);
    __m512i sums = _mm512_setzero_si512(), excess = _mm512_setzero_si512();
    for (size_t i = 0; i < stride; i += 64) {
        __m512i x = _mm512_xor_si512(_mm512_load_si512(a + i), shift), y = _mm512_load_si512(b + i);
        sums = _mm512_dpbusd_epi32(sums, x, y);
        excess = _mm512_dpbusd_epi32(excess, shift, y);
    }
    return _mm512_reduce_add_epi32(_mm512_sub_epi32(sums, excess));
}
#endif

// MARK: Choice

enum apus_isa apus_isa_best(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c")) {
        bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                    __builtin_cpu_supports("avx512vnni");
        return wide ? APUS_ISA_AVX512 : APUS_ISA_AVX2;
    }
#endif
    return APUS_ISA_PORTABLE;
}

static enum apus_isa at_most(enum apus_isa isa) {
    enum apus_isa best = apus_isa_best();
    return isa < best ? isa : best;
}

#define SET(PREFIX)                                                                                                   \
    {{PREFIX##_q3_dot, NULL, NULL}, {PREFIX##_q4_dot, NULL, NULL}, {PREFIX##_q8_dot, NULL, PREFIX##_q8_sad},           \
        {PREFIX##_f16_dot, PREFIX##_f16_l2, PREFIX##_f16_l1}, {PREFIX##_f32_dot, PREFIX##_f32_l2, PREFIX##_f32_l1}}

apus_code_kernel apus_code_kernel_for(enum apus_code_kind kind, enum apus_metric metric, enum apus_isa isa) {
    static const apus_code_kernel kernels[3][5][3] = {
        SET(portable),
#if defined(__x86_64__)
        SET(avx2),
        SET(avx512),
#endif
    };
    // Small codes give the Euclidean distance by the product and the rows' lengths.
    int operation = metric == APUS_METRIC_MANHATTAN ? 2 : metric == APUS_METRIC_EUCLIDEAN && is_float(kind) ? 1 : 0;
    return kernels[at_most(isa)][kind][operation];
}

apus_pair_kernel apus_pair_kernel_for(enum apus_metric metric, bool is_wide, enum apus_isa isa) {
    bool is_l1 = metric == APUS_METRIC_MANHATTAN;
#if defined(__x86_64__)
    switch (at_most(isa)) {
    case APUS_ISA_AVX512: return is_l1 ? avx2_pair_l1 : is_wide ? avx2_wide_pair_dot : avx512_pair_dot;
    case APUS_ISA_AVX2: return is_l1 ? avx2_pair_l1 : is_wide ? avx2_wide_pair_dot : avx2_pair_dot;
    case APUS_ISA_PORTABLE: break;
    }
#endif
    return is_l1 ? portable_pair_l1 : is_wide ? portable_wide_pair_dot : portable_pair_dot;
}
