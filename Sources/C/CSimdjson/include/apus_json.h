#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A C border around simdjson's DOM. No C++ type and no exception crosses it.
//
// A document is immutable after it was parsed, so it may be read from any thread. A node is an index into the document's
// tape; 0 is the document itself and never a value, so that 0 means "none".

#ifdef __cplusplus
extern "C" {
#endif

typedef struct apus_json_document apus_json_document;
typedef size_t apus_json_node;

typedef enum {
    APUS_JSON_NULL = 'n',
    APUS_JSON_TRUE = 't',
    APUS_JSON_FALSE = 'f',
    APUS_JSON_INTEGER = 'l',
    APUS_JSON_UNSIGNED = 'u',  // above INT64_MAX
    APUS_JSON_DOUBLE = 'd',
    APUS_JSON_STRING = '"',
    APUS_JSON_ARRAY = '[',
    APUS_JSON_OBJECT = '{',
} apus_json_kind;

typedef struct {
    // Null when the text was refused.
    apus_json_document *document;
    // A constant that names what is wrong; null on success.
    const char *problem;
    // Where it is, in bytes from the start; -1 when that is not known.
    ptrdiff_t offset;
} apus_json_parsed;

// Copies what it needs of `text`. Integers beyond 64 bits become doubles; numbers beyond a double are refused.
apus_json_parsed apus_json_parse(const uint8_t *text, size_t length, size_t max_depth);
void apus_json_free(apus_json_document *document);

apus_json_node apus_json_root(const apus_json_document *document);
apus_json_kind apus_json_kind_of(const apus_json_document *document, apus_json_node node);
int64_t apus_json_integer(const apus_json_document *document, apus_json_node node);
uint64_t apus_json_unsigned(const apus_json_document *document, apus_json_node node);
// Of any number.
double apus_json_double(const apus_json_document *document, apus_json_node node);
// UTF-8, not terminated; lives as long as the document.
const char *apus_json_string(const apus_json_document *document, apus_json_node node, size_t *length);

// The first child of an array or object (an object's children alternate key, value), 0 when it is empty.
apus_json_node apus_json_first(const apus_json_document *document, apus_json_node node);
// The sibling after `node` inside `parent`, 0 at the end.
apus_json_node apus_json_next(const apus_json_document *document, apus_json_node parent, apus_json_node node);
// The index just past `node`: a descendant's index lies below it.
size_t apus_json_end(const apus_json_document *document, apus_json_node node);
// Children of an array, members of an object; at most 16,777,215 is reported.
size_t apus_json_count(const apus_json_document *document, apus_json_node node);
// The value of an object's last member with this key, 0 when there is none.
apus_json_node apus_json_member(const apus_json_document *document, apus_json_node node, const char *key, size_t length);

typedef enum {
    APUS_JSON_FLOATS_OK,
    APUS_JSON_FLOATS_NOT_AN_ARRAY,
    // `*index` elements were found.
    APUS_JSON_FLOATS_WRONG_COUNT,
    APUS_JSON_FLOATS_NOT_A_NUMBER,
    // The number rounds to an infinite float.
    APUS_JSON_FLOATS_OUT_OF_RANGE,
} apus_json_floats_result;

// Reads an array of exactly `count` (below 16,777,215) numbers as floats. `*index` names the element at fault.
apus_json_floats_result apus_json_floats(
    const apus_json_document *document, apus_json_node node, float *floats, size_t count, size_t *index);

// The value without white space. Calls `append` with pieces in order.
void apus_json_minify(
    const apus_json_document *document, apus_json_node node, void *context,
    void (*append)(void *context, const char *bytes, size_t length));

// Writes `count` floats as a JSON array in their shortest form that reads back the same; not finite ones as null.
// `out` has room for 2 + 18 * count bytes. Returns the length.
size_t apus_json_write_floats(const float *floats, size_t count, char *out);

#ifdef __cplusplus
}
#endif
