#pragma once
#include <sqlite3.h>

/// Names the main database `apus` in statements, so that they read as on PostgreSQL, where that is a schema.
/// Swift cannot call `sqlite3_db_config`: it is variadic.
static inline int apus_sqlite_name_main(sqlite3 *connection) {
    return sqlite3_db_config(connection, SQLITE_DBCONFIG_MAINDBNAME, "apus");
}
