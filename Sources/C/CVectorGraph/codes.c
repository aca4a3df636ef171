#include "kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// Codes are the same on every machine.
#pragma STDC FP_CONTRACT OFF

static size_t round_up(size_t value, size_t unit) { return (value + unit - 1) / unit * unit; }

size_t apus_code_stride(enum apus_code_kind kind, uint32_t dimension) {
    switch (kind) {
    case APUS_CODE_THIRDS: return round_up((dimension + 2) / 3, 64);
    case APUS_CODE_4BIT: return round_up((dimension + 1) / 2, 64);
    case APUS_CODE_8BIT: return round_up(dimension, 64);
    case APUS_CODE_F16: return round_up(2 * (size_t)dimension, 64);
    case APUS_CODE_F32: return round_up(4 * (size_t)dimension, 64);
    }
    return 0;
}

// MARK: Places

// Places in the same part of their bytes: the first of them is in the first byte.
struct part {
    uint32_t end; // behind the last of them
    int shift;
    uint8_t most; // the largest code
};

// The part that a place is in. Places are counted for THIRDS in the coding's order, else by dimensions.
static struct part part_of(const struct apus_coding *coding, uint32_t place) {
    size_t number = place / coding->stride, end = (number + 1) * coding->stride;
    struct part part = {.end = end < coding->dimension ? (uint32_t)end : coding->dimension};
    switch (coding->kind) {
    case APUS_CODE_THIRDS:
        part.shift = 3 * (int)number;
        part.most = number < 2 ? 7 : 3;
        break;
    case APUS_CODE_4BIT:
        part.shift = 4 * (int)number;
        part.most = 15;
        break;
    default: part.most = coding->metric == APUS_METRIC_MANHATTAN ? 255 : 127;
    }
    return part;
}

static uint32_t dimension_at(const struct apus_coding *coding, uint32_t index) { return coding->order ? coding->order[index] : index; }

// MARK: Training

// Half of what the steps of a dimension span, in deviations: which is best depends on how its numbers are spread. For a normal distribution
// it is Lloyd and Max's (1.5, 2.05 and 2.5 for 4, 8 and 16 steps); a histogram of gradients, say, needs more.
static const float REACHES[] = {1, 1.25f, 1.5f, 1.75f, 2.05f, 2.5f, 3, 3.7f, 4.5f, 6, 9};
enum { TRAINED = 1024 };

// Chooses a dimension's offset and step: those by which codes differ least from its numbers.
static void choose_steps(const float *numbers, uint32_t count, float most_code, float *offset, float *step) {
    float sum = 0, squares = 0, least = INFINITY, most = -INFINITY;
    for (uint32_t i = 0; i < count; i++) {
        sum += numbers[i];
        least = fminf(least, numbers[i]);
        most = fmaxf(most, numbers[i]);
    }
    float mean = sum / (float)count, best = INFINITY;
    for (uint32_t i = 0; i < count; i++) squares += (numbers[i] - mean) * (numbers[i] - mean);
    float deviation = sqrtf(squares / (float)count);
    *offset = mean;
    *step = 0; // where nothing differs
    if (!(deviation > 0) || !isfinite(deviation)) return;
    for (size_t r = 0; r < sizeof REACHES / sizeof *REACHES; r++) {
        float low = fmaxf(least, mean - REACHES[r] * deviation), high = fminf(most, mean + REACHES[r] * deviation);
        // Of numbers so small that their squares are nothing the deviation is too small, and the ends are the other way round.
        float width = fmaxf(high - low, 0) / most_code, error = 0;
        for (uint32_t i = 0; i < count; i++) {
            float c = (numbers[i] - low) / width;
            float missing = numbers[i] - low - width * (float)(int32_t)(fminf(fmaxf(c, 0), most_code) + 0.5f);
            error += missing * missing;
        }
        if (error >= best) continue;
        best = error;
        *offset = low;
        *step = width;
    }
}

static void sort_by_deviation(uint32_t *order, const float *deviations, uint32_t count) {
    // Heap sort, largest first: qsort has no room for the deviations.
    for (uint32_t i = 0; i < count; i++) order[i] = i;
    for (uint32_t start = count / 2, end = count; end > 1;) {
        if (start > 0) {
            start--;
        } else {
            end--;
            uint32_t last = order[end];
            order[end] = order[0];
            order[0] = last;
        }
        for (uint32_t parent = start, child; (child = 2 * parent + 1) < end; parent = child) {
            if (child + 1 < end && deviations[order[child + 1]] < deviations[order[child]]) child++;
            if (deviations[order[parent]] <= deviations[order[child]]) break;
            uint32_t moved = order[parent];
            order[parent] = order[child];
            order[child] = moved;
        }
    }
}

void apus_code_train(
    enum apus_code_kind kind, enum apus_metric metric, uint32_t dimension, const float *rows, size_t stride, size_t count,
    float *offsets, float *steps, uint32_t *order) {
    if (is_float(kind) || count == 0) return;
    if (metric == APUS_METRIC_MANHATTAN) {
        float widest = 0;
        for (uint32_t d = 0; d < dimension; d++) {
            float least = INFINITY, most = -INFINITY;
            for (size_t row = 0; row < count; row++) {
                least = fminf(least, rows[row * stride + d]);
                most = fmaxf(most, rows[row * stride + d]);
            }
            offsets[d] = least;
            widest = fmaxf(widest, most - least);
        }
        for (uint32_t d = 0; d < dimension; d++) steps[d] = widest / 255;
        return;
    }
    uint32_t sample = count < TRAINED ? (uint32_t)count : TRAINED;
    if (kind == APUS_CODE_THIRDS) {
        for (uint32_t d = 0; d < dimension; d++) {
            double sum = 0, squares = 0;
            for (uint32_t row = 0; row < sample; row++) sum += rows[row * stride + d];
            for (uint32_t row = 0; row < sample; row++) {
                double x = rows[row * stride + d] - sum / sample;
                squares += x * x;
            }
            steps[d] = isfinite(squares) ? (float)squares : 0;
        }
        sort_by_deviation(order, steps, dimension);
    }
    struct apus_coding coding = {
        .kind = kind, .metric = metric, .dimension = dimension, .stride = apus_code_stride(kind, dimension)};
    for (uint32_t i = 0; i < dimension; i++) {
        uint32_t d = kind == APUS_CODE_THIRDS ? order[i] : i;
        float numbers[TRAINED];
        for (uint32_t row = 0; row < sample; row++) numbers[row] = rows[row * stride + d];
        choose_steps(numbers, sample, part_of(&coding, i).most, &offsets[i], &steps[i]);
    }
}

// MARK: Encoding

// To the nearest, ties away from zero; unlike roundf() without a call.
static inline float nearest(float x) { return (float)(int32_t)(x + (x < 0 ? -0.5f : 0.5f)); }

static uint8_t steps_of(float x, float offset, float step, float most) {
    if (!(step > 0)) return 0;
    float c = (x - offset) / step;
    return (uint8_t)nearest(c < 0 ? 0 : c > most ? most : c);
}

static uint16_t f32_to_f16(float value) {
    // Beyond the range is its end: an infinity would make every distance one.
    _Float16 half = (_Float16)(value > 65504 ? 65504 : value < -65504 ? -65504 : value);
    uint16_t bits;
    memcpy(&bits, &half, 2);
    return bits;
}

// What a code misses of its row shifts the products with the row's neighbours most as far as it lies along the row itself, because they lie
// that way too. So some numbers are coded by the second nearest step: those that take much of that part for little more that is missed, as
// long as
//
//     squared length of what is missed + ALONG * dimension * squared length of its part along the row
//
// falls. The loss is that of Guo et al., "Accelerating Large-Scale Inference with Anisotropic Vector Quantization" (ICML 2020). Measured on
// two sets of real vectors: the 32 best by codes of four bits hold 100 instead of 98.9 of 100 neighbours; with an ALONG ten times as large
// they hold 96, because rows with numbers outside of all steps come near to everything.
static const float ALONG = 0.1f;

// A row's places, while it is coded.
struct places {
    float *numbers, *codes; // what is to be coded, and the steps it is coded by
    float *gains, *prices;  // of the second nearest step: what it takes of the part along the row, and what a unit of that costs
    uint32_t *cheap;        // the places for which that may be worth while
};

// Built for wider registers too: sealing codes all rows anew.
#if defined(__x86_64__)
__attribute__((target_clones("arch=x86-64-v4", "avx2", "default")))
#endif
static void take_nearest(const struct apus_coding *coding, const struct places *places) {
    const float *restrict x = places->numbers, *restrict offsets = coding->offsets, *restrict steps = coding->steps;
    float *restrict codes = places->codes, *restrict gains = places->gains, *restrict prices = places->prices;
    for (uint32_t first = 0, end; first < coding->dimension; first = end) {
        struct part part = part_of(coding, first);
        float most = (float)part.most;
        end = part.end;
        for (uint32_t i = first; i < end; i++) {
            float above = x[i] - offsets[i], step = steps[i], c = above / (step > 0 ? step : INFINITY);
            c = c > 0 ? c : 0;
            c = (float)(int32_t)((c < most ? c : most) + 0.5f);
            float missed = above - step * c, size = fabsf(missed);
            bool is_last = !(step > 0) || (missed > 0 ? c >= most : c <= 0);
            codes[i] = c;
            gains[i] = (missed > 0 ? x[i] : -x[i]) * step;
            prices[i] = is_last ? INFINITY : step * (step - 2 * size);
        }
    }
}

static void straighten(const struct apus_coding *coding, const struct places *places) {
    enum { TURNS = 8 };
    uint32_t dimension = coding->dimension, count = 0;
    const float *x = places->numbers;
    float along = 0, length = 0;
    for (uint32_t i = 0; i < dimension; i++) {
        along += x[i] * (x[i] - coding->offsets[i] - coding->steps[i] * places->codes[i]);
        length += x[i] * x[i];
    }
    float weight = ALONG * (float)dimension / length, sign = along > 0 ? 1 : -1, most = 2 * weight * along * sign;
    along *= sign;
    for (uint32_t i = 0; i < dimension; i++) {
        places->gains[i] *= sign;
        places->cheap[count] = i;
        // Without a branch: half of the gains are losses.
        count += (places->gains[i] > 0) & (places->prices[i] < most * places->gains[i]);
    }
    for (uint32_t k = 0; k < count; k++) places->prices[places->cheap[k]] /= places->gains[places->cheap[k]];
    // The cheap ones first, until what is left along the row is worth no more.
    for (int turn = 1; turn <= TURNS && most * (float)(turn - 1) / TURNS < 2 * weight * along; turn++) {
        for (uint32_t k = 0; k < count; k++) {
            uint32_t i = places->cheap[k];
            if (!(places->prices[i] <= most * (float)turn / TURNS && places->prices[i] < weight * (2 * along - places->gains[i]))) continue;
            places->codes[i] += (x[i] > 0) == (sign > 0) ? 1 : -1;
            along -= places->gains[i];
            places->prices[i] = INFINITY;
        }
    }
}

static void encode_small(const struct apus_coding *coding, const float *row, uint8_t *code) {
    enum { HERE = 512 };
    uint32_t dimension = coding->dimension;
    float here[4 * HERE];
    uint32_t cheap[HERE];
    struct places places = {.numbers = here, .cheap = cheap};
    if (dimension > HERE) {
        places.numbers = malloc(4 * (size_t)dimension * sizeof *places.numbers);
        places.cheap = malloc((size_t)dimension * sizeof *places.cheap);
        if (!places.numbers || !places.cheap) abort();
    }
    places.codes = places.numbers + dimension;
    places.gains = places.codes + dimension;
    places.prices = places.gains + dimension;
    memcpy(places.numbers, row, dimension * sizeof *row);
    for (uint32_t i = 0; coding->order && i < dimension; i++) places.numbers[i] = row[coding->order[i]];
    take_nearest(coding, &places);
    if (coding->metric != APUS_METRIC_MANHATTAN) straighten(coding, &places);
    for (uint32_t first = 0, end; first < dimension; first = end) {
        struct part part = part_of(coding, first);
        end = part.end;
        for (uint32_t i = first; i < end; i++) code[i - first] |= (uint8_t)((int32_t)places.codes[i] << part.shift);
    }
    if (dimension > HERE) {
        free(places.numbers);
        free(places.cheap);
    }
}

void apus_code_encode(const struct apus_coding *coding, const float *row, void *code) {
    uint32_t dimension = coding->dimension;
    memset(code, 0, coding->stride);
    switch (coding->kind) {
    case APUS_CODE_F16:
        for (uint32_t d = 0; d < dimension; d++) ((uint16_t *)code)[d] = f32_to_f16(row[d]);
        break;
    case APUS_CODE_F32: memcpy(code, row, 4 * (size_t)dimension); break;
    default: encode_small(coding, row, code);
    }
}

static float squared_length(const float *row, uint32_t dimension) {
    double sum = 0;
    for (uint32_t d = 0; d < dimension; d++) sum += (double)row[d] * row[d];
    return (float)sum;
}

float apus_code_bias(enum apus_metric metric, uint32_t dimension, const float *row) {
    return metric == APUS_METRIC_EUCLIDEAN ? squared_length(row, dimension) : 0;
}

// MARK: Queries

size_t apus_query_bytes(enum apus_code_kind kind, uint32_t dimension) {
    size_t stride = apus_code_stride(kind, dimension);
    return kind == APUS_CODE_THIRDS ? 3 * stride : kind == APUS_CODE_4BIT || kind == APUS_CODE_F16 ? 2 * stride : stride;
}

// Small codes: product = sum of q * offset + sum of (q * step) * c, the second by signed bytes of one size.
static float prepare_product(const struct apus_coding *coding, const float *query, int8_t *code, float *size, float *noise) {
    uint32_t dimension = coding->dimension;
    float most = 0;
    for (uint32_t i = 0; i < dimension; i++) {
        float weight = fabsf(query[dimension_at(coding, i)] * coding->steps[i]);
        most = weight > most ? weight : most;
    }
    *size = most > 0 ? most / 127 : 1;
    float constant = 0, scale = 1 / *size, squares = 0;
    for (uint32_t i = 0, end; i < dimension; i = end) {
        struct part part = part_of(coding, i);
        float middle = (float)part.most / 2;
        end = part.end;
        for (uint32_t place = i; place < end; place++) {
            float x = query[dimension_at(coding, place)], weight = x * coding->steps[place], rounded = nearest(weight * scale);
            // What rounding the weights adds or takes on average, at the codes' middle, is given back.
            constant += x * coding->offsets[place] + (weight - *size * rounded) * middle;
            code[place] = (int8_t)rounded;
            squares += weight * weight;
        }
    }
    *noise = 4 * sqrtf(squares / 12); // what is rounded is spread evenly over a step
    return constant;
}

void apus_query_prepare(const struct apus_coding *coding, const float *query, void *code, struct apus_query *prepared) {
    uint32_t dimension = coding->dimension;
    memset(code, 0, apus_query_bytes(coding->kind, dimension));
    prepared->code = code;
    prepared->bias_scale = 1;
    prepared->noise = 0;
    prepared->least = 0;
    bool keeps = is_float(coding->kind);
    if (coding->metric == APUS_METRIC_MANHATTAN || (keeps && coding->metric == APUS_METRIC_EUCLIDEAN)) {
        prepared->base = 0;
        prepared->scale = 1;
        if (keeps) {
            memcpy(code, query, 4 * (size_t)dimension);
        } else {
            for (uint32_t d = 0; d < dimension; d++)
                ((uint8_t *)code)[d] = steps_of(query[d], coding->offsets[d], coding->steps[d], 255);
            prepared->scale = dimension > 0 ? coding->steps[0] : 1;
            prepared->noise = 4 * prepared->scale * sqrtf((float)dimension / 6); // both sides are rounded
        }
        return;
    }
    float size = 1, constant = 0;
    if (keeps) memcpy(code, query, 4 * (size_t)dimension);
    else constant = prepare_product(coding, query, code, &size, &prepared->noise);
    switch (coding->metric) {
    case APUS_METRIC_COSINE:
        prepared->base = 1 - constant;
        prepared->scale = -size;
        break;
    case APUS_METRIC_DOT:
        // Without the squared lengths: beside that of one long row the products of all others would be rounded away.
        prepared->base = -constant;
        prepared->scale = -size;
        prepared->least = -(coding->longest_squared + squared_length(query, dimension)) / 2;
        break;
    default:
        prepared->base = squared_length(query, dimension) - 2 * constant;
        prepared->scale = -2 * size;
        prepared->noise *= 2;
    }
}

// MARK: Distances

void apus_codes_distances(
    const struct apus_codes *codes, const struct apus_query *query, enum apus_isa isa, const uint32_t *rows, size_t count, float *out) {
    size_t stride = codes->coding->stride;
    apus_code_kernel kernel = apus_code_kernel_for(codes->coding->kind, codes->coding->metric, isa);
    enum { AHEAD = 16 };
    for (size_t i = 0; i < count && i < AHEAD; i++) prefetch_row(codes->rows + rows[i] * stride, stride);
    for (size_t i = 0; i < count; i += 4) {
        size_t n = count - i < 4 ? count - i : 4;
        for (size_t j = i + AHEAD; j < i + AHEAD + n && j < count; j++) prefetch_row(codes->rows + rows[j] * stride, stride);
        kernel(query->code, codes->rows, stride, rows + i, n, out + i);
        for (size_t j = i; j < i + n; j++) {
            float bias = codes->bias ? query->bias_scale * codes->bias[rows[j]] : 0;
            out[j] = query->base + bias + query->scale * out[j];
        }
    }
}

static bool is_nearer(struct apus_found x, struct apus_found y) {
    return x.distance != y.distance ? x.distance < y.distance : x.row < y.row;
}

uint32_t apus_rescore(
    const struct apus_codes *better, const struct apus_query *query, enum apus_isa isa, struct apus_found *found, uint32_t found_count,
    uint32_t count) {
    enum { FIRST = 16, PART = 8, MOST = 64 };
    if (count == 0) return 0;
    // What the better codes add to a distance, so far.
    double sum = 0, squares = 0;
    uint32_t done = 0;
    while (done < found_count) {
        // So many are compared in any case. The others are as long as one may come among the best of those, judged by how much
        // the two kinds of codes have differed.
        uint32_t rows[MOST], n = done >= count ? PART : count - done > FIRST ? count - done : FIRST;
        float distances[MOST];
        if (n > MOST) n = MOST;
        if (n > found_count - done) n = found_count - done;
        if (done >= count) {
            double mean = sum / done, deviation = sqrt(fmax(squares / done - mean * mean, 0));
            if (found[done].distance + mean - 3 * deviation > found[count - 1].distance) break;
        }
        for (uint32_t i = 0; i < n; i++) rows[i] = found[done + i].row;
        apus_codes_distances(better, query, isa, rows, n, distances);
        for (uint32_t i = 0; i < n; i++, done++) {
            double error = distances[i] - found[done].distance;
            sum += error;
            squares += error * error;
            // To its place among those before it.
            struct apus_found candidate = {distances[i], rows[i]};
            uint32_t at = done;
            for (; at > 0 && is_nearer(candidate, found[at - 1]); at--) found[at] = found[at - 1];
            found[at] = candidate;
        }
    }
    return done;
}
