-- pg_store.products (pg_store, duckdb)
SELECT "t1"."id", "t1"."name" FROM "products" AS "t1" WHERE list_contains(($1)::integer[], "t1"."id") ORDER BY "t1"."id" LIMIT 2001
--   $1 = list ["1", "2", "3"]
--   rows: list of up to 2000 {id: 0 integer, name: 1 text, matching_items: batch 0 by 0}
    -- batch 0 (local_db, duckdb)
    SELECT "t1"."id", "t1"."name", "k"."key" FROM json_each($1) AS "k" JOIN "items" AS "t1" ON "t1"."id" = (json_extract_string("k"."value", '$'))::bigint ORDER BY "k"."key", "t1"."id"
    --   $1 = keys, JSON of number
    --   rows: by key number 2: list of {id: 0 integer, name: 1 text}
