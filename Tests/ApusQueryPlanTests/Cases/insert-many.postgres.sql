-- pg_store.insert_many_products (pg_store, postgres)
WITH "row1" AS (INSERT INTO "products" ("name", "price", "id") VALUES ($1, $2, nextval(($3::text)::regclass)), ($4, $5, nextval(($6::text)::regclass)) RETURNING *) SELECT "told"."id" FROM "row1" AS "told"
--   $1 = "a"
--   $2 = 1
--   $3 = "products_id_seq"
--   $4 = "b"
--   $5 = 2
--   $6 = "products_id_seq"
--   rows: list of batch 0 by 0
    -- batch 0 (pg_store, postgres)
    SELECT "t1"."id", "t2"."name", "t2"."id", ("k"."n" - 1) FROM ROWS FROM (unnest(coalesce($1, ARRAY(SELECT "r1"."id" FROM "products" AS "r1" LIMIT 0)))) WITH ORDINALITY AS "k"("v0", "n") JOIN "products" AS "t1" ON "t1"."id" = "k"."v0" LEFT JOIN "categories" AS "t2" ON "t1"."category_id" = "t2"."id" ORDER BY ("k"."n" - 1), "t1"."id"
    --   $1 = keys, column 0
    --   rows: by key number 3: one {id: 0 integer, category: {name: 1 text} if 2}

-- pg_store.insert_many_product_tags (pg_store, postgres)
WITH "row1" AS (INSERT INTO "product_tags" ("product_id", "tag_id") VALUES ($1, $2), ($3, $4) RETURNING *) SELECT count(*) FROM "row1"
--   $1 = 1
--   $2 = 1
--   $3 = 2
--   $4 = 2
--   rows: one {affected_rows: 0 count}

-- pg_store.none (pg_store, postgres)
SELECT NULL WHERE 1 = 0
--   rows: list of batch 0 by 0
    -- batch 0 (pg_store, postgres)
    SELECT "t1"."id", ("k"."n" - 1) FROM ROWS FROM (unnest(coalesce($1, ARRAY(SELECT "r2"."id" FROM "tags" AS "r2" LIMIT 0)))) WITH ORDINALITY AS "k"("v0", "n") JOIN "tags" AS "t1" ON "t1"."id" = "k"."v0" ORDER BY ("k"."n" - 1), "t1"."id"
    --   $1 = keys, column 0
    --   rows: by key number 1: one {id: 0 integer}
