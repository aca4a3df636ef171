-- pg_store.insert_many_products (pg_store, duckdb)
INSERT INTO "products" ("name", "price", "quantity", "id") VALUES ($1, $2, $3, nextval($4::text)), ($5, $6, DEFAULT, nextval($7::text)) RETURNING "id"
--   $1 = "a"
--   $2 = 1
--   $3 = 3
--   $4 = "products_id_seq"
--   $5 = "b"
--   $6 = 2
--   $7 = "products_id_seq"
--   rows: list of batch 0 by 0
    -- batch 0 (pg_store, duckdb)
    SELECT "t1"."id", "k"."key" FROM json_each($1) AS "k" JOIN "products" AS "t1" ON "t1"."id" = (json_extract_string("k"."value", '$'))::integer ORDER BY "k"."key", "t1"."id"
    --   $1 = keys, JSON of number
    --   rows: by key number 1: one {id: 0 integer}
