#define SIMDJSON_EXCEPTIONS 0
#include "apus_json.h"

#include <simdjson.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string>

using namespace simdjson;
using internal::tape_ref;
using internal::tape_type;

struct apus_json_document {
    dom::document document;
};

namespace {

/// simdjson's scratch memory (structural indexes, padded copy), kept by each thread for small bodies.
struct Scratch {
    std::unique_ptr<dom::parser> parser;
    static constexpr size_t keep = 1 << 20;
};
thread_local Scratch scratch;

tape_ref at(const apus_json_document *document, apus_json_node node) { return tape_ref(&document->document, node); }

bool is_container(tape_ref value) {
    auto type = value.tape_ref_type();
    return type == tape_type::START_ARRAY || type == tape_type::START_OBJECT;
}

error_code parse(dom::parser &parser, apus_json_document &into, const uint8_t *text, size_t length, size_t max_depth) {
    if (length == 0) return EMPTY;
    // A parser that is larger than needed is kept; only growing or another depth allocates.
    if (parser.max_depth() != max_depth || parser.capacity() < length) {
        if (auto error = parser.allocate(length, max_depth)) return error;
    }
    return parser.parse_into_document(into.document, text, length, true).error();
}

/// simdjson 3.0 lets an escaped low surrogate without its high one through (\udc00), as three bytes that are not UTF-8.
/// Such a string would later be written to clients and files, so it is refused here.
bool has_lone_surrogate(const apus_json_document &document, const uint8_t *text, size_t length) {
    // Only an escape can make one: without "\ud" or "\uD" in the text there is nothing to look for.
    bool suspect = false;
    for (const uint8_t *cursor = text, *end = text + length; !suspect; cursor++) {
        cursor = static_cast<const uint8_t *>(memchr(cursor, '\\', size_t(end - cursor)));
        if (!cursor) return false;
        suspect = end - cursor > 2 && cursor[1] == 'u' && (cursor[2] | 32) == 'd';
    }
    size_t tape_length = size_t(tape_ref(&document.document, 0).tape_value());
    for (size_t index = 1; index < tape_length; index++) {
        tape_ref value(&document.document, index);
        if (value.is_double() || value.is_int64() || value.is_uint64()) {
            index++;
        } else if (value.tape_ref_type() == tape_type::STRING) {
            auto string = value.get_string_view();
            if (!validate_utf8(string.data(), string.size())) return true;
        }
    }
    return false;
}

enum class Number { fits, wide_integer, bad };

/// What is wrong with one number token, if anything. Only called after simdjson refused a number.
Number inspect(const char *text, size_t length) {
    size_t i = 0;
    auto digits = [&] {
        size_t start = i;
        while (i < length && text[i] >= '0' && text[i] <= '9') i++;
        return i - start;
    };
    if (i < length && text[i] == '-') i++;
    bool zero = i < length && text[i] == '0';
    size_t whole = digits();
    if (whole == 0 || (zero && whole > 1)) return Number::bad;
    bool integer = i == length;
    if (i < length && text[i] == '.') {
        i++;
        if (digits() == 0) return Number::bad;
    }
    if (i < length && (text[i] | 32) == 'e') {
        i++;
        if (i < length && (text[i] == '+' || text[i] == '-')) i++;
        if (digits() == 0) return Number::bad;
    }
    if (i != length) return Number::bad;
    if (!std::isfinite(strtod(std::string(text, length).c_str(), nullptr))) return Number::bad;
    return integer && whole > 18 ? Number::wide_integer : Number::fits;
}

/// Copies `text` with integers of more than 18 digits turned into doubles ("12345678901234567890123.0"), unless they fit 64 bits.
/// Returns the offset of the first number that is wrong or too large, -1 when there is none.
ptrdiff_t widen(const uint8_t *text, size_t length, std::string &wide) {
    bool in_string = false;
    for (size_t i = 0; i < length;) {
        char byte = char(text[i]);
        if (in_string && byte == '\\' && i + 1 < length) {
            wide.append(reinterpret_cast<const char *>(text + i), 2);
            i += 2;
            continue;
        }
        if (byte == '"') in_string = !in_string;
        if (in_string || !(byte == '-' || (byte >= '0' && byte <= '9'))) {
            wide.push_back(byte);
            i++;
            continue;
        }
        size_t start = i;
        while (i < length && strchr("0123456789+-.eE", text[i]) && text[i]) i++;
        const char *token = reinterpret_cast<const char *>(text + start);
        Number number = inspect(token, i - start);
        bool ends = i == length || strchr(",]} \t\r\n", text[i]);
        if (number == Number::bad || !ends) return ptrdiff_t(start);
        wide.append(token, i - start);
        if (number == Number::wide_integer) {
            errno = 0;
            std::string copy(token, i - start);
            if (token[0] == '-') strtoll(copy.c_str(), nullptr, 10);
            else strtoull(copy.c_str(), nullptr, 10);
            if (errno == ERANGE) wide.append(".0");
        }
    }
    return -1;
}

const char *describe(error_code error) {
    switch (error) {
    case CAPACITY: return "it is larger than 4 GB";
    case MEMALLOC: return "there is not enough memory for it";
    case DEPTH_ERROR: return "it is nested too deeply";
    case STRING_ERROR: return "a string is not valid (a bad escape, or half a surrogate pair)";
    case T_ATOM_ERROR:
    case F_ATOM_ERROR:
    case N_ATOM_ERROR: return "a word is none of true, false and null";
    case NUMBER_ERROR: return "a number is not written as JSON writes numbers, or is too large";
    case UTF8_ERROR: return "it is not UTF-8";
    case EMPTY: return "it is empty";
    case UNESCAPED_CHARS: return "a string holds a control character that is not escaped";
    case UNCLOSED_STRING: return "a string does not end";
    default: return "a comma, colon, bracket or value is missing or in the wrong place";
    }
}

}  // namespace

apus_json_parsed apus_json_parse(const uint8_t *text, size_t length, size_t max_depth) {
    std::unique_ptr<apus_json_document> document(new (std::nothrow) apus_json_document);
    if (!scratch.parser) scratch.parser.reset(new (std::nothrow) dom::parser);
    if (!document || !scratch.parser) return {nullptr, describe(MEMALLOC), -1};
    error_code error = parse(*scratch.parser, *document, text, length, max_depth);
    ptrdiff_t offset = -1;
    std::string wide;
    if (error == NUMBER_ERROR) {
        offset = widen(text, length, wide);
        text = reinterpret_cast<const uint8_t *>(wide.data());
        length = wide.size();
        if (offset < 0) error = parse(*scratch.parser, *document, text, length, max_depth);
    }
    if (!error && has_lone_surrogate(*document, text, length)) error = STRING_ERROR;
    if (scratch.parser->capacity() > Scratch::keep) scratch.parser.reset();
    if (error) return {nullptr, describe(error), offset};
    return {document.release(), nullptr, -1};
}

void apus_json_free(apus_json_document *document) { delete document; }

apus_json_node apus_json_root(const apus_json_document *) { return 1; }

apus_json_kind apus_json_kind_of(const apus_json_document *document, apus_json_node node) {
    return apus_json_kind(at(document, node).tape_ref_type());
}

int64_t apus_json_integer(const apus_json_document *document, apus_json_node node) {
    return at(document, node).next_tape_value<int64_t>();
}

uint64_t apus_json_unsigned(const apus_json_document *document, apus_json_node node) {
    return at(document, node).next_tape_value<uint64_t>();
}

double apus_json_double(const apus_json_document *document, apus_json_node node) {
    tape_ref value = at(document, node);
    if (value.is_int64()) return double(value.next_tape_value<int64_t>());
    if (value.is_uint64()) return double(value.next_tape_value<uint64_t>());
    return value.next_tape_value<double>();
}

const char *apus_json_string(const apus_json_document *document, apus_json_node node, size_t *length) {
    auto string = at(document, node).get_string_view();
    *length = string.size();
    return string.data();
}

apus_json_node apus_json_first(const apus_json_document *document, apus_json_node node) {
    tape_ref parent = at(document, node);
    return is_container(parent) && node + 1 < parent.after_element() - 1 ? node + 1 : 0;
}

apus_json_node apus_json_next(const apus_json_document *document, apus_json_node parent, apus_json_node node) {
    size_t next = at(document, node).after_element();
    return next < at(document, parent).after_element() - 1 ? next : 0;
}

size_t apus_json_end(const apus_json_document *document, apus_json_node node) { return at(document, node).after_element(); }

size_t apus_json_count(const apus_json_document *document, apus_json_node node) {
    tape_ref value = at(document, node);
    return is_container(value) ? value.scope_count() : 0;
}

apus_json_node apus_json_member(const apus_json_document *document, apus_json_node node, const char *key, size_t length) {
    if (at(document, node).tape_ref_type() != tape_type::START_OBJECT) return 0;
    apus_json_node found = 0;
    size_t end = at(document, node).after_element() - 1;
    for (size_t child = node + 1; child < end; child = at(document, child + 1).after_element()) {
        auto name = at(document, child).get_string_view();
        if (name.size() == length && memcmp(name.data(), key, length) == 0) found = child + 1;
    }
    return found;
}

apus_json_floats_result apus_json_floats(
    const apus_json_document *document, apus_json_node node, float *floats, size_t count, size_t *index) {
    tape_ref array = at(document, node);
    if (array.tape_ref_type() != tape_type::START_ARRAY) return APUS_JSON_FLOATS_NOT_AN_ARRAY;
    *index = apus_json_count(document, node);
    if (*index != count) return APUS_JSON_FLOATS_WRONG_COUNT;
    // A number is two words of the tape; anything else is found out at its own index.
    for (size_t i = 0; i < count; i++) {
        tape_ref value = at(document, node + 1 + 2 * i);
        *index = i;
        if (!value.is_double() && !value.is_int64() && !value.is_uint64()) return APUS_JSON_FLOATS_NOT_A_NUMBER;
        floats[i] = float(apus_json_double(document, value.json_index));
        if (!std::isfinite(floats[i])) return APUS_JSON_FLOATS_OUT_OF_RANGE;
    }
    return APUS_JSON_FLOATS_OK;
}

void apus_json_minify(
    const apus_json_document *document, apus_json_node node, void *context,
    void (*append)(void *context, const char *bytes, size_t length)) {
    // An element is one tape_ref; simdjson has no public way from an index to it.
    static_assert(sizeof(dom::element) == sizeof(tape_ref) && std::is_trivially_copyable<dom::element>::value);
    tape_ref value = at(document, node);
    dom::element element;
    memcpy(static_cast<void *>(&element), &value, sizeof value);
    internal::string_builder<> builder;
    builder.append(element);
    auto text = builder.str();
    append(context, text.data(), text.size());
}

size_t apus_json_write_floats(const float *floats, size_t count, char *out) {
    char *end = out;
    *end++ = '[';
    for (size_t i = 0; i < count; i++) {
        if (i > 0) *end++ = ',';
        if (std::isfinite(floats[i])) {
            char *start = end;
            end = std::to_chars(end, end + 15, floats[i]).ptr;  // at most 15: "-1.17549435e-38"
            // A float stays one to readers that tell 1 from 1.0.
            if (std::find_if(start, end, [](char c) { return c == '.' || c == 'e'; }) == end) {
                *end++ = '.';
                *end++ = '0';
            }
        } else {
            std::memcpy(end, "null", 4);
            end += 4;
        }
    }
    *end++ = ']';
    return static_cast<size_t>(end - out);
}
