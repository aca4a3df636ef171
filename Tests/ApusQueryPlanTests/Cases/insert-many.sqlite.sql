-- pg_store.insert_many_products (pg_store, sqlite)
INSERT INTO "products" ("name", "price") VALUES ($1, $2), ($3, $4) RETURNING "id"
--   $1 = "a"
--   $2 = 1
--   $3 = "b"
--   $4 = 2
--   rows: list of batch 0 by 0
    -- batch 0 (pg_store, sqlite)
    SELECT "t1"."id", "t2"."name", "t2"."id", "k"."key" FROM json_each($1) AS "k" JOIN "products" AS "t1" ON "t1"."id" = "k"."value" LEFT JOIN "categories" AS "t2" ON "t1"."category_id" = "t2"."id" ORDER BY "k"."key", "t1"."id"
    --   $1 = keys, JSON of number
    --   rows: by key number 3: one {id: 0 integer, category: {name: 1 text} if 2}

-- pg_store.insert_many_product_tags (pg_store, sqlite)
INSERT INTO "product_tags" ("product_id", "tag_id") VALUES ($1, $2), ($3, $4) RETURNING 1
--   $1 = 1
--   $2 = 1
--   $3 = 2
--   $4 = 2
--   rows: one {affected_rows: 0 count}

-- pg_store.none (pg_store, sqlite)
SELECT NULL WHERE 1 = 0
--   rows: list of batch 0 by 0
    -- batch 0 (pg_store, sqlite)
    SELECT "t1"."id", "k"."key" FROM json_each($1) AS "k" JOIN "tags" AS "t1" ON "t1"."id" = "k"."value" ORDER BY "k"."key", "t1"."id"
    --   $1 = keys, JSON of number
    --   rows: by key number 1: one {id: 0 integer}
