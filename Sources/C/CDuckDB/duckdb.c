#include "CDuckDB.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Handles are pointers; a state is 0 for success; a result is six words and is passed by value to what fetches. */
#define FUNCTIONS(F) \
    F(const char *, library_version, (void)) \
    F(int, create_config, (void **)) \
    F(int, set_config, (void *, const char *, const char *)) \
    F(void, destroy_config, (void **)) \
    F(int, open_ext, (const char *, void **, void *, char **)) \
    F(void, close, (void **)) \
    F(int, connect, (void *, void **)) \
    F(void, disconnect, (void **)) \
    F(void, interrupt, (void *)) \
    F(void, free, (void *)) \
    F(int, prepare, (void *, const char *, void **)) \
    F(const char *, prepare_error, (void *)) \
    F(void, destroy_prepare, (void **)) \
    F(int, bind_null, (void *, uint64_t)) \
    F(int, bind_boolean, (void *, uint64_t, bool)) \
    F(int, bind_int64, (void *, uint64_t, int64_t)) \
    F(int, bind_double, (void *, uint64_t, double)) \
    F(int, bind_varchar_length, (void *, uint64_t, const char *, uint64_t)) \
    F(int, bind_value, (void *, uint64_t, void *)) \
    F(void *, create_logical_type, (uint32_t)) \
    F(void *, create_list_value, (void *, void **, uint64_t)) \
    F(void *, create_int64, (int64_t)) \
    F(void *, create_double, (double)) \
    F(void *, create_bool, (bool)) \
    F(void *, create_varchar_length, (const char *, uint64_t)) \
    F(void, destroy_value, (void **)) \
    F(int, execute_prepared_streaming, (void *, apus_duckdb_result *)) \
    F(void, destroy_result, (apus_duckdb_result *)) \
    F(const char *, result_error, (apus_duckdb_result *)) \
    F(uint64_t, column_count, (apus_duckdb_result *)) \
    F(void *, fetch_chunk, (apus_duckdb_result)) \
    F(void, destroy_data_chunk, (void **)) \
    F(uint64_t, data_chunk_get_size, (void *)) \
    F(void *, data_chunk_get_vector, (void *, uint64_t)) \
    F(void *, vector_get_column_type, (void *)) \
    F(void *, vector_get_data, (void *)) \
    F(uint64_t *, vector_get_validity, (void *)) \
    F(uint32_t, get_type_id, (void *)) \
    F(uint8_t, decimal_scale, (void *)) \
    F(uint32_t, decimal_internal_type, (void *)) \
    F(uint32_t, enum_internal_type, (void *)) \
    F(char *, enum_dictionary_value, (void *, uint64_t)) \
    F(void, destroy_logical_type, (void **))

#define MEMBER(result, name, parameters) result(*name) parameters;
static struct {
    FUNCTIONS(MEMBER)
} duckdb;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int is_loaded = 0;

static int load(const char *path, const char *stub, char *problem, size_t size) {
    void *library = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
    if (library == NULL && stub != NULL && access(stub, R_OK) == 0 && dlopen(stub, RTLD_NOW | RTLD_GLOBAL) != NULL) {
        library = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
    }
    if (library == NULL) {
        const char *said = dlerror();
        snprintf(problem, size, "%s", said == NULL ? path : said);
        return -1;
    }
#define FIND(result, name, parameters) \
    *(void **)&duckdb.name = dlsym(library, "duckdb_" #name); \
    if (duckdb.name == NULL) { \
        snprintf(problem, size, "%s has no function duckdb_" #name, path); \
        dlclose(library); \
        return -1; \
    }
    FUNCTIONS(FIND)
    return 0;
}

int apus_duckdb_load(const char *path, const char *stub, char *problem, size_t size) {
    pthread_mutex_lock(&lock);
    int result = is_loaded ? 0 : load(path, stub, problem, size);
    if (result == 0) is_loaded = 1;
    pthread_mutex_unlock(&lock);
    return result;
}

const char *apus_duckdb_version(void) { return duckdb.library_version(); }

int apus_duckdb_open(const char *path, const char *const *names, const char *const *values, size_t settings, void **database, char **error) {
    void *config = NULL;
    *error = NULL;
    if (duckdb.create_config(&config) != 0) return -1;
    int result = 0;
    for (size_t place = 0; place < settings && result == 0; place++) result = duckdb.set_config(config, names[place], values[place]);
    if (result == 0) result = duckdb.open_ext(path, database, config, error);
    duckdb.destroy_config(&config);
    return result;
}

void apus_duckdb_close(void *database) { duckdb.close(&database); }
int apus_duckdb_connect(void *database, void **connection) { return duckdb.connect(database, connection); }
void apus_duckdb_disconnect(void *connection) { duckdb.disconnect(&connection); }
void apus_duckdb_interrupt(void *connection) { duckdb.interrupt(connection); }
void apus_duckdb_free(void *pointer) { duckdb.free(pointer); }

int apus_duckdb_prepare(void *connection, const char *sql, void **statement, const char **error) {
    int result = duckdb.prepare(connection, sql, statement);
    *error = result == 0 ? NULL : duckdb.prepare_error(*statement);
    return result;
}

void apus_duckdb_destroy_prepare(void *statement) { duckdb.destroy_prepare(&statement); }
int apus_duckdb_bind_null(void *statement, uint64_t place) { return duckdb.bind_null(statement, place); }
int apus_duckdb_bind_bool(void *statement, uint64_t place, bool value) { return duckdb.bind_boolean(statement, place, value); }
int apus_duckdb_bind_int64(void *statement, uint64_t place, int64_t value) { return duckdb.bind_int64(statement, place, value); }
int apus_duckdb_bind_double(void *statement, uint64_t place, double value) { return duckdb.bind_double(statement, place, value); }

int apus_duckdb_bind_text(void *statement, uint64_t place, const char *text, uint64_t length) {
    return duckdb.bind_varchar_length(statement, place, text, length);
}

int apus_duckdb_bind_list(void *statement, uint64_t place, uint32_t type, void **values, uint64_t count) {
    void *logical = duckdb.create_logical_type(type);
    void *list = duckdb.create_list_value(logical, values, count);
    int result = list == NULL ? -1 : duckdb.bind_value(statement, place, list);
    if (list != NULL) duckdb.destroy_value(&list);
    duckdb.destroy_logical_type(&logical);
    return result;
}

void *apus_duckdb_value_int64(int64_t value) { return duckdb.create_int64(value); }
void *apus_duckdb_value_double(double value) { return duckdb.create_double(value); }
void *apus_duckdb_value_bool(bool value) { return duckdb.create_bool(value); }
void *apus_duckdb_value_text(const char *text, uint64_t length) { return duckdb.create_varchar_length(text, length); }
void apus_duckdb_destroy_value(void *value) { duckdb.destroy_value(&value); }

int apus_duckdb_execute(void *statement, apus_duckdb_result *result, const char **error) {
    int state = duckdb.execute_prepared_streaming(statement, result);
    *error = state == 0 ? NULL : duckdb.result_error(result);
    return state;
}

void apus_duckdb_destroy_result(apus_duckdb_result *result) { duckdb.destroy_result(result); }
const char *apus_duckdb_error(apus_duckdb_result *result) { return duckdb.result_error(result); }
uint64_t apus_duckdb_column_count(apus_duckdb_result *result) { return duckdb.column_count(result); }
void *apus_duckdb_fetch(apus_duckdb_result *result) { return duckdb.fetch_chunk(*result); }
void apus_duckdb_destroy_chunk(void *chunk) { duckdb.destroy_data_chunk(&chunk); }
uint64_t apus_duckdb_chunk_size(void *chunk) { return duckdb.data_chunk_get_size(chunk); }

enum { DECIMAL = 19, ENUM = 23 };

apus_duckdb_column apus_duckdb_chunk_column(void *chunk, uint64_t place) {
    void *vector = duckdb.data_chunk_get_vector(chunk, place);
    apus_duckdb_column column = {0};
    column.logical = duckdb.vector_get_column_type(vector);
    column.type = duckdb.get_type_id(column.logical);
    column.data = duckdb.vector_get_data(vector);
    column.validity = duckdb.vector_get_validity(vector);
    if (column.type == DECIMAL) {
        column.scale = duckdb.decimal_scale(column.logical);
        column.storage = duckdb.decimal_internal_type(column.logical);
    } else if (column.type == ENUM) {
        column.storage = duckdb.enum_internal_type(column.logical);
    }
    return column;
}

void apus_duckdb_end_column(apus_duckdb_column *column) { duckdb.destroy_logical_type(&column->logical); }

char *apus_duckdb_enum_text(const apus_duckdb_column *column, uint64_t number) {
    return duckdb.enum_dictionary_value(column->logical, number);
}

/* duckdb_string_t: up to 12 bytes are in it, of more a prefix of 4 and where they are. */
const char *apus_duckdb_text(const apus_duckdb_column *column, uint64_t row, uint32_t *length) {
    const char *entry = (const char *)column->data + row * 16;
    memcpy(length, entry, 4);
    if (*length <= 12) return entry + 4;
    const char *text;
    memcpy(&text, entry + 8, sizeof text);
    return text;
}
