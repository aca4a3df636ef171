-- local_db.items (local_db, duckdb)
SELECT "t1"."id", "t2"."name", "t3"."tag", "t3"."event_id", "t2"."id" FROM (SELECT "t1".* FROM "items" AS "t1" ORDER BY "t1"."id" LIMIT $1::bigint) AS "t1" LEFT JOIN "events" AS "t2" ON "t1"."id" = "t2"."id" LEFT JOIN "event_tags" AS "t3" ON "t2"."id" = "t3"."event_id" ORDER BY "t1"."id"
--   $1 = 2
--   rows: list of key 0 {id: 0 integer, active_products: batch 0 by 0, event: {name: 1 text, tags: list of if 3 {tag: 2 text}} if 4, products_in_range: batch 1 by 0}
    -- batch 0 (pg_store, duckdb)
    SELECT "t1"."id", "t1"."name", "k"."key" FROM json_each($1) AS "k" JOIN (SELECT id, name, price, quantity FROM products WHERE is_active = true) AS "t1" ON "t1"."id" = (json_extract_string("k"."value", '$'))::integer ORDER BY "k"."key"
    --   $1 = keys, JSON of number
    --   rows: by key number 2: list of {id: 0 integer, name: 1 text}
    -- batch 1 (pg_store, duckdb)
    SELECT "t1"."name", "t3"."name", "t3"."id", "t2"."id", "k"."key" FROM json_each($1) AS "k" JOIN (SELECT id, name, price FROM products WHERE price >= $2::double precision AND price <= $3::double precision) AS "t1" ON "t1"."id" = (json_extract_string("k"."value", '$'))::integer LEFT JOIN "products" AS "t2" ON "t1"."id" = "t2"."id" LEFT JOIN "categories" AS "t3" ON "t2"."category_id" = "t3"."id" ORDER BY "k"."key"
    --   $1 = keys, JSON of number
    --   $2 = 1
    --   $3 = 9
    --   rows: by key number 4: list of {name: 0 text, product: {category: {name: 1 text} if 2} if 3}
