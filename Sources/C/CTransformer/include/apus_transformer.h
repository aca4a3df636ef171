// The forward pass of BERT (Devlin et al., 2018) for sentence vectors: float32, its kernels chosen at run time for the processor.
#pragma once

#include <stddef.h>
#include <stdint.h>

// Implementations, weakest first. Each adds the same products in another order, so results differ in the last bits.
enum apus_transformer_level {
    APUS_TRANSFORMER_PORTABLE = 0, // the compiler's vector types: SSE2 on x86-64, NEON on arm64
    APUS_TRANSFORMER_AVX2 = 1,     // AVX2 and FMA
    APUS_TRANSFORMER_AVX512 = 2,   // AVX-512 F
};

// The strongest level that this processor runs.
enum apus_transformer_level apus_transformer_best_level(void);

struct apus_bert_shape {
    size_t layers;
    size_t hidden;       // a multiple of 16
    size_t heads;        // hidden / heads is a multiple of 16
    size_t intermediate; // a multiple of 16
    float epsilon;       // of the layer norms
};

// Weights as they lie in the file, float32, at any address: [out][in] for a matrix.
struct apus_bert_linear {
    const void *weight;
    const void *bias;
};
struct apus_bert_norm {
    const void *weight;
    const void *bias;
};
struct apus_bert_layer {
    struct apus_bert_linear query, key, value, output, up, down;
    struct apus_bert_norm attention_norm, norm;
};
struct apus_bert_embeddings {
    const void *words;     // [vocabulary][hidden]; read at each pass, so it must stay
    const void *positions; // [positions][hidden]; must stay
    const void *type;      // [hidden]: of the first sentence; must stay
    struct apus_bert_norm norm;
};

struct apus_bert;

// Packs the weights of the layers (they are not read again). NULL when there is no memory.
struct apus_bert *apus_bert_create(
    const struct apus_bert_shape *shape, const struct apus_bert_embeddings *embeddings, const struct apus_bert_layer *layers);
void apus_bert_free(struct apus_bert *bert);

// Bytes that `apus_bert_create` allocates for this shape.
size_t apus_bert_memory(const struct apus_bert_shape *shape);

// The mean of the last layer over each text's tokens, scaled to length 1. The texts' tokens lie one after the other, without padding;
// each is below the vocabulary's size and each length from 1 to the number of positions, which the caller has checked.
// `out` is [texts][hidden]. May be called from several threads at once. -1 when there is no memory, or the processor lacks the level.
int apus_bert_encode(
    const struct apus_bert *bert, enum apus_transformer_level level, const int32_t *tokens, const uint32_t *lengths, size_t texts,
    float *out);

// out[i] = in[i] as float32, exactly; `in` holds half floats or bfloat16 at any address.
void apus_transformer_widen_f16(const void *in, float *out, size_t count);
void apus_transformer_widen_bf16(const void *in, float *out, size_t count);

// For tests: one kernel each. y = GELU(x); softmax of rows of `count`.
int apus_transformer_gelu(enum apus_transformer_level level, float *values, size_t count);
int apus_transformer_softmax(enum apus_transformer_level level, float *values, size_t count);
