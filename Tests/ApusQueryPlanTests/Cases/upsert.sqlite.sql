-- pg_store.insert_products (pg_store, sqlite)
INSERT INTO "products" AS "t1" ("id", "name", "price") VALUES ($1, $2, $3) ON CONFLICT ("id") DO UPDATE SET "name" = excluded."name", "price" = excluded."price" WHERE "t1"."quantity" < $4 RETURNING "id"
--   $1 = 1
--   $2 = "a"
--   $3 = 1
--   $4 = 5
--   rows: one batch 0 by 0
    -- batch 0 (pg_store, sqlite)
    SELECT "t1"."id", "t1"."name", "k"."key" FROM json_each($1) AS "k" JOIN "products" AS "t1" ON "t1"."id" = "k"."value" ORDER BY "k"."key", "t1"."id"
    --   $1 = keys, JSON of number
    --   rows: by key number 2: one {id: 0 integer, name: 1 text}
