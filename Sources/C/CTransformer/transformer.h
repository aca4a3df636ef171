// What the implementations of the levels share.
#pragma once

#include "apus_transformer.h"

#include <stdbool.h>

// Columns of a packed panel, and the granularity of all sizes.
#define WIDTH 16
// Tokens whose attention is computed together.
#define QUERIES 4
// Rows of a panel that are used together: 24 KB of weights, which stay in the first-level cache.
#define DEPTH 384

struct packed {
    size_t in, out;
    float *weights; // out / WIDTH panels of [in][WIDTH]
    float *bias;
};

struct layer {
    struct packed attention; // query, key and value side by side
    struct packed output, up, down;
    float *attention_scale, *attention_shift, *scale, *shift;
};

struct apus_bert {
    struct apus_bert_shape shape;
    const char *words, *positions, *type;
    float *scale, *shift; // of the embeddings' norm
    struct layer *layers;
    float *block; // all of the above that is owned
};

// Memory of one pass over `tokens` tokens, the longest text of which has `longest`.
struct workspace {
    float *state;      // [tokens][hidden]
    float *attention;  // [tokens][3 hidden]
    float *context;    // [tokens][hidden]
    float *wide;       // [tokens][intermediate]
    float *keys;       // [hidden / heads][longest, rounded up to WIDTH]
    float *scores;     // [QUERIES][longest, rounded up to WIDTH]
};

struct kernels {
    void (*encode)(
        const struct apus_bert *bert, const struct workspace *work, const int32_t *tokens, const uint32_t *lengths, size_t texts,
        size_t token_count, float *out);
    void (*gelu)(float *values, size_t count);
    void (*softmax)(float *values, size_t count);
};

extern const struct kernels apus_transformer_portable;
#if defined(__x86_64__)
extern const struct kernels apus_transformer_avx2;
extern const struct kernels apus_transformer_avx512;
#endif
