-- pg_store.products (pg_store, sqlite)
SELECT "t1"."name", "t2"."name", "t2"."id", "t1"."id" FROM (SELECT "t1".* FROM "products" AS "t1" ORDER BY "t1"."price" DESC LIMIT $1) AS "t1" LEFT JOIN ("product_tags" AS "r1" JOIN "tags" AS "t2" ON "r1"."tag_id" = "t2"."id") ON "t1"."id" = "r1"."product_id" ORDER BY "t1"."price" DESC, "t1"."id"
--   $1 = 10
--   rows: list of key 3 {name: 0 text, product_tags: list of if 2 {name: 1 text}, price_ranges: batch 0 by 3}
    -- batch 0 (pg_store, sqlite)
    SELECT "t1"."valid_price", "k"."key" FROM json_each($1) AS "k" JOIN "price_ranges" AS "t1" ON "t1"."product_id" = "k"."value" ORDER BY "k"."key"
    --   $1 = keys, JSON of number
    --   rows: by key number 1: list of {valid_price: 0 text}
