#include "transformer.h"

#include <stdlib.h>
#include <string.h>

enum apus_transformer_level apus_transformer_best_level(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f")) return APUS_TRANSFORMER_AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return APUS_TRANSFORMER_AVX2;
#endif
    return APUS_TRANSFORMER_PORTABLE;
}

static const struct kernels *kernels(enum apus_transformer_level level) {
    if (level > apus_transformer_best_level()) return NULL;
    switch (level) {
#if defined(__x86_64__)
    case APUS_TRANSFORMER_AVX512: return &apus_transformer_avx512;
    case APUS_TRANSFORMER_AVX2: return &apus_transformer_avx2;
#endif
    case APUS_TRANSFORMER_PORTABLE: return &apus_transformer_portable;
    default: return NULL;
    }
}

static size_t floats_per_layer(const struct apus_bert_shape *shape) {
    size_t h = shape->hidden, i = shape->intermediate;
    return (3 * h * h + 3 * h) + (h * h + h) + (h * i + i) + (i * h + h) + 4 * h;
}

size_t apus_bert_memory(const struct apus_bert_shape *shape) {
    return (shape->layers * floats_per_layer(shape) + 2 * shape->hidden) * sizeof(float) + shape->layers * sizeof(struct layer)
        + sizeof(struct apus_bert);
}

// Takes the next part of the block.
static float *take(float **next, size_t count) {
    float *part = *next;
    *next += count;
    return part;
}

static float *copy(float **next, const void *from, size_t count) { return memcpy(take(next, count), from, count * sizeof(float)); }

// Puts [out][in] into panels, at the columns from `column` on.
static void pack(struct packed *packed, const struct apus_bert_linear *linear, size_t column, size_t columns) {
    const char *rows = linear->weight;
    for (size_t o = 0; o < columns; o++) {
        float *panel = packed->weights + (column + o) / WIDTH * packed->in * WIDTH + (column + o) % WIDTH;
        for (size_t k = 0; k < packed->in; k++) memcpy(panel + k * WIDTH, rows + (o * packed->in + k) * sizeof(float), sizeof(float));
    }
    memcpy(packed->bias + column, linear->bias, columns * sizeof(float));
}

static void prepare(struct packed *packed, float **next, size_t in, size_t out) {
    packed->in = in;
    packed->out = out;
    packed->weights = take(next, in * out);
    packed->bias = take(next, out);
}

struct apus_bert *apus_bert_create(
    const struct apus_bert_shape *shape, const struct apus_bert_embeddings *embeddings, const struct apus_bert_layer *layers) {
    size_t h = shape->hidden, i = shape->intermediate;
    struct apus_bert *bert = calloc(1, sizeof *bert);
    if (!bert) return NULL;
    bert->shape = *shape;
    bert->layers = calloc(shape->layers, sizeof *bert->layers);
    void *block = NULL;
    if (!bert->layers || posix_memalign(&block, 64, (shape->layers * floats_per_layer(shape) + 2 * h) * sizeof(float))) {
        apus_bert_free(bert);
        return NULL;
    }
    bert->block = block;
    bert->words = embeddings->words;
    bert->positions = embeddings->positions;
    bert->type = embeddings->type;
    float *next = bert->block;
    for (size_t number = 0; number < shape->layers; number++) {
        const struct apus_bert_layer *from = layers + number;
        struct layer *to = bert->layers + number;
        prepare(&to->attention, &next, h, 3 * h);
        pack(&to->attention, &from->query, 0, h);
        pack(&to->attention, &from->key, h, h);
        pack(&to->attention, &from->value, 2 * h, h);
        prepare(&to->output, &next, h, h);
        pack(&to->output, &from->output, 0, h);
        prepare(&to->up, &next, h, i);
        pack(&to->up, &from->up, 0, i);
        prepare(&to->down, &next, i, h);
        pack(&to->down, &from->down, 0, h);
        to->attention_scale = copy(&next, from->attention_norm.weight, h);
        to->attention_shift = copy(&next, from->attention_norm.bias, h);
        to->scale = copy(&next, from->norm.weight, h);
        to->shift = copy(&next, from->norm.bias, h);
    }
    bert->scale = copy(&next, embeddings->norm.weight, h);
    bert->shift = copy(&next, embeddings->norm.bias, h);
    return bert;
}

void apus_bert_free(struct apus_bert *bert) {
    if (!bert) return;
    free(bert->block);
    free(bert->layers);
    free(bert);
}

int apus_bert_encode(
    const struct apus_bert *bert, enum apus_transformer_level level, const int32_t *tokens, const uint32_t *lengths, size_t texts,
    float *out) {
    const struct kernels *table = kernels(level);
    if (!table) return -1;
    size_t count = 0, longest = 0, h = bert->shape.hidden;
    for (size_t text = 0; text < texts; text++) {
        count += lengths[text];
        if (lengths[text] > longest) longest = lengths[text];
    }
    if (count == 0) return 0;
    size_t padded = (longest + WIDTH - 1) / WIDTH * WIDTH;
    void *block = NULL;
    if (posix_memalign(&block, 64, (count * (5 * h + bert->shape.intermediate) + padded * (h / bert->shape.heads + QUERIES)) * sizeof(float)))
        return -1;
    float *next = block;
    struct workspace work;
    work.state = take(&next, count * h);
    work.attention = take(&next, count * 3 * h);
    work.context = take(&next, count * h);
    work.wide = take(&next, count * bert->shape.intermediate);
    work.keys = take(&next, padded * (h / bert->shape.heads));
    work.scores = take(&next, QUERIES * padded);
    table->encode(bert, &work, tokens, lengths, texts, count, out);
    free(block);
    return 0;
}

int apus_transformer_gelu(enum apus_transformer_level level, float *values, size_t count) {
    const struct kernels *table = kernels(level);
    if (!table) return -1;
    table->gelu(values, count);
    return 0;
}

int apus_transformer_softmax(enum apus_transformer_level level, float *values, size_t count) {
    const struct kernels *table = kernels(level);
    if (!table) return -1;
    table->softmax(values, count);
    return 0;
}

void apus_transformer_widen_bf16(const void *in, float *out, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint16_t half;
        memcpy(&half, (const char *)in + i * sizeof half, sizeof half);
        uint32_t bits = (uint32_t)half << 16;
        memcpy(out + i, &bits, sizeof bits);
    }
}

void apus_transformer_widen_f16(const void *in, float *out, size_t count) {
    for (size_t i = 0; i < count; i++) {
        _Float16 half;
        memcpy(&half, (const char *)in + i * sizeof half, sizeof half);
        out[i] = (float)half;
    }
}
