-- pg_store.insert_products (pg_store, duckdb)
INSERT INTO "products" ("name", "price", "quantity", "is_active", "description", "category_id", "id") VALUES ($1, $2, $3, $4, $5, $6, nextval($7::text)) RETURNING "id"
--   $1 = "Test Product"
--   $2 = 99.99
--   $3 = 7
--   $4 = true
--   $5 = "Created by E2E test"
--   $6 = 1
--   $7 = "products_id_seq"
--   rows: one batch 0 by 0
    -- batch 0 (pg_store, duckdb)
    SELECT "t1"."id", "t1"."name", "t1"."price", "t1"."quantity", "k"."key" FROM json_each($1) AS "k" JOIN "products" AS "t1" ON "t1"."id" = (json_extract_string("k"."value", '$'))::integer ORDER BY "k"."key", "t1"."id"
    --   $1 = keys, JSON of number
    --   rows: by key number 4: one {id: 0 integer, name: 1 text, price: 2 number, quantity: 3 integer}
