-- pg_store.products (pg_store, duckdb)
SELECT "t1"."id", "t1"."name", "t1"."price" FROM "products" AS "t1" ORDER BY "t1"."id" LIMIT $1::bigint
--   $1 = 3
--   rows: list of {id: 0 integer, name: 1 text, price: 2 number}
