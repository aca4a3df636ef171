-- local_db.items (local_db, postgres)
SELECT "t1"."id", "t2"."name", "t3"."tag", "t3"."event_id", "t2"."id" FROM (SELECT "t1".* FROM "items" AS "t1" ORDER BY "t1"."id" LIMIT $1::bigint) AS "t1" LEFT JOIN "events" AS "t2" ON "t1"."id" = "t2"."id" LEFT JOIN "event_tags" AS "t3" ON "t2"."id" = "t3"."event_id" ORDER BY "t1"."id"
--   $1 = 2
--   rows: list of key 0 {id: 0 integer, active_products: batch 0 by 0, event: {name: 1 text, tags: list of if 3 {tag: 2 text}} if 4, products_in_range: batch 1 by 0}
    -- batch 0 (pg_store, postgres)
    SELECT "t1"."id", "t1"."name", ("k"."n" - 1) FROM ROWS FROM (unnest(coalesce($1, ARRAY(SELECT "r1"."id" FROM (SELECT id, name, price, quantity FROM products WHERE is_active = true) AS "r1" LIMIT 0)))) WITH ORDINALITY AS "k"("v0", "n") JOIN (SELECT id, name, price, quantity FROM products WHERE is_active = true) AS "t1" ON "t1"."id" = "k"."v0" ORDER BY ("k"."n" - 1)
    --   $1 = keys, column 0
    --   rows: by key number 2: list of {id: 0 integer, name: 1 text}
    -- batch 1 (pg_store, postgres)
    SELECT "t1"."name", "t3"."name", "t3"."id", "t2"."id", ("k"."n" - 1) FROM ROWS FROM (unnest(coalesce($1, ARRAY(SELECT "r2"."id" FROM (SELECT id, name, price FROM products WHERE price >= $2::double precision AND price <= $3::double precision) AS "r2" LIMIT 0)))) WITH ORDINALITY AS "k"("v0", "n") JOIN (SELECT id, name, price FROM products WHERE price >= $4::double precision AND price <= $5::double precision) AS "t1" ON "t1"."id" = "k"."v0" LEFT JOIN "products" AS "t2" ON "t1"."id" = "t2"."id" LEFT JOIN "categories" AS "t3" ON "t2"."category_id" = "t3"."id" ORDER BY ("k"."n" - 1)
    --   $1 = keys, column 0
    --   $2 = null
    --   $3 = null
    --   $4 = 1
    --   $5 = 9
    --   rows: by key number 4: list of {name: 0 text, product: {category: {name: 1 text} if 2} if 3}
