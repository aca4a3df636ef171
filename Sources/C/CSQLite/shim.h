#pragma once
#include <sqlite3.h>

/// Gives the main database another name in statements (`apus.node`), so that they read as on PostgreSQL, where it is a schema.
/// `name` must outlive the connection. Swift cannot call `sqlite3_db_config`: it is variadic.
static inline int apus_sqlite_name_main(sqlite3 *connection, const char *name) {
    return sqlite3_db_config(connection, SQLITE_DBCONFIG_MAINDBNAME, name);
}
