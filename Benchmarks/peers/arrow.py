"""A table to pandas: through the unmodified hugr-client, and from PostgreSQL itself with its drivers.

    arrow.py WHAT NODE KEY DATABASE    WHAT: hugr, canned (hugr-client with the same reply, from a process that has it in memory: what the
                                       client takes by itself), adbc, adbc_text (numeric as it comes, which is text), or psycopg

Prints one JSON object: seconds from the question to the DataFrame, its rows and columns, and the sum of a column, which must be the same for all.
"""

import json
import os
import socket
import sys
import time

for name in list(os.environ):
    if name.startswith("HUGR_"):
        del os.environ[name]
os.environ["HUGR_CONFIG_PATH"] = "/nonexistent/connections.json"

what, node, key, database = sys.argv[1:5]
COLUMNS = ["id", "customer_id", "score", "price", "name", "placed", "is_paid", "note"]
SELECT = "SELECT " + ", ".join(COLUMNS) + " FROM wide"

QUERY = "{ wide(limit: 1000000) { " + " ".join(COLUMNS) + " } }"


def can():
    """Fetches the reply, and serves it once from another process; where."""
    import requests

    reply = requests.post(node + "/ipc", json={"query": QUERY, "variables": {}}, headers={"X-Hugr-Api-Key": key})
    server = socket.create_server(("127.0.0.1", 0))
    if os.fork() == 0:
        connection, _ = server.accept()
        asked = b""
        while QUERY.encode() not in asked.replace(b"\\", b""):
            asked += connection.recv(65536)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {reply.headers['Content-Type']}\r\nContent-Length: {len(reply.content)}\r\n\r\n"
        connection.sendall(head.encode() + reply.content)
        os._exit(0)
    return f"http://127.0.0.1:{server.getsockname()[1]}"


if what in ("hugr", "canned"):
    from hugr import HugrClient

    if what == "canned":
        node = can()
    client = HugrClient(url=node + "/ipc", api_key=key)

    def frame():
        return client.query(QUERY).parts["data.wide"].df()

elif what.startswith("adbc"):
    import adbc_driver_postgresql.dbapi

    connection = adbc_driver_postgresql.dbapi.connect(database)

    def frame():
        with connection.cursor() as cursor:
            # As a number, which is what the others get: the driver tells numeric as text.
            cursor.execute(SELECT if what == "adbc_text" else SELECT.replace("price", "price::float8 AS price"))
            return cursor.fetch_arrow_table().to_pandas()

else:
    import pandas
    import psycopg

    connection = psycopg.connect(database)

    def frame():
        with connection.cursor(binary=True) as cursor:
            cursor.execute(SELECT.replace("price", "price::float8 AS price"))
            return pandas.DataFrame(cursor.fetchall(), columns=COLUMNS)


start = time.perf_counter()
found = frame()
seconds = time.perf_counter() - start
print(json.dumps({
    "seconds": seconds, "rows": found.shape[0], "columns": found.shape[1], "sum": round(float(found["price"].astype(float).sum()), 2),
}))
