#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>

/// The part of DuckDB's C API that Apus uses (https://duckdb.org/docs/stable/clients/c/api), called in a library that is loaded when it is
/// needed. No function may be called before `apus_duckdb_load` has returned 0.

/// Loads the library at `path`, once for the process. 0, or -1 with what is wrong in `problem` (of `size` bytes). `stub`, if there is such a
/// file, is loaded before it: it defines names of Python that DuckDB's Python module wants and never calls for this API.
int apus_duckdb_load(const char *path, const char *stub, char *problem, size_t size);
const char *apus_duckdb_version(void);

typedef struct apus_duckdb_result {
    uint64_t words[6];
} apus_duckdb_result;

/// Errors are texts that `apus_duckdb_free` frees.
int apus_duckdb_open(const char *path, const char *const *names, const char *const *values, size_t settings, void **database, char **error);
void apus_duckdb_close(void *database);
int apus_duckdb_connect(void *database, void **connection);
void apus_duckdb_disconnect(void *connection);
void apus_duckdb_interrupt(void *connection);
void apus_duckdb_free(void *pointer);

/// `error` belongs to the statement, which is to be destroyed in either case.
int apus_duckdb_prepare(void *connection, const char *sql, void **statement, const char **error);
void apus_duckdb_destroy_prepare(void *statement);
int apus_duckdb_bind_null(void *statement, uint64_t place);
int apus_duckdb_bind_bool(void *statement, uint64_t place, bool value);
int apus_duckdb_bind_int64(void *statement, uint64_t place, int64_t value);
int apus_duckdb_bind_double(void *statement, uint64_t place, double value);
int apus_duckdb_bind_text(void *statement, uint64_t place, const char *text, uint64_t length);
/// A list of values, which stay the caller's, of one type.
int apus_duckdb_bind_list(void *statement, uint64_t place, uint32_t type, void **values, uint64_t count);
void *apus_duckdb_value_int64(int64_t value);
void *apus_duckdb_value_double(double value);
void *apus_duckdb_value_bool(bool value);
void *apus_duckdb_value_text(const char *text, uint64_t length);
void apus_duckdb_destroy_value(void *value);

/// `error` belongs to the result, which is to be destroyed in either case. Chunks are computed as they are fetched.
int apus_duckdb_execute(void *statement, apus_duckdb_result *result, const char **error);
void apus_duckdb_destroy_result(apus_duckdb_result *result);
const char *apus_duckdb_error(apus_duckdb_result *result);
uint64_t apus_duckdb_column_count(apus_duckdb_result *result);
/// NULL at the end, and where it fails.
void *apus_duckdb_fetch(apus_duckdb_result *result);
void apus_duckdb_destroy_chunk(void *chunk);
uint64_t apus_duckdb_chunk_size(void *chunk);

/// One column of a chunk, while the chunk is there. `dictionary` of an enum's values; its type's number of the values otherwise.
typedef struct apus_duckdb_column {
    const void *data;
    /// A bit for each row that is not null; NULL: all are.
    const uint64_t *validity;
    uint32_t type;
    /// Of the numbers that decimals and enums are stored as.
    uint32_t storage;
    uint8_t scale;
    void *logical;
} apus_duckdb_column;

apus_duckdb_column apus_duckdb_chunk_column(void *chunk, uint64_t place);
/// Frees what the column holds.
void apus_duckdb_end_column(apus_duckdb_column *column);
/// The text of an enum's value, which `apus_duckdb_free` frees.
char *apus_duckdb_enum_text(const apus_duckdb_column *column, uint64_t number);
/// Of a column of texts or bytes: where those of a row are.
const char *apus_duckdb_text(const apus_duckdb_column *column, uint64_t row, uint32_t *length);
