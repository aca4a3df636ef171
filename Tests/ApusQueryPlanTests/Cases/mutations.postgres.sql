-- pg_store.insert_products (pg_store, postgres)
WITH "row1" AS (INSERT INTO "categories" ("name", "id") VALUES ($1, nextval(($2::text)::regclass)) RETURNING *), "row2" AS (INSERT INTO "products" ("category_id", "name", "price", "tags", "id") VALUES ((SELECT "row1"."id" FROM "row1"), $3, $4, $5, nextval(($6::text)::regclass)) RETURNING *), "row3" AS (INSERT INTO "price_ranges" ("product_id", "valid_price", "id") VALUES ((SELECT "row2"."id" FROM "row2"), $7, nextval(($8::text)::regclass)) RETURNING *), "row4" AS (INSERT INTO "tags" ("name", "id") VALUES ($9, nextval(($10::text)::regclass)) RETURNING *), "row5" AS (INSERT INTO "product_tags" ("product_id", "tag_id") VALUES ((SELECT "row2"."id" FROM "row2"), (SELECT "row4"."id" FROM "row4")) RETURNING *), "row6" AS (INSERT INTO "tags" ("name", "id") VALUES ($11, nextval(($12::text)::regclass)) RETURNING *), "row7" AS (INSERT INTO "product_tags" ("product_id", "tag_id") VALUES ((SELECT "row2"."id" FROM "row2"), (SELECT "row6"."id" FROM "row6")) RETURNING *) SELECT "told"."id" FROM "row2" AS "told"
--   $1 = "C"
--   $2 = "categories_id_seq"
--   $3 = "A"
--   $4 = 1.5
--   $5 = "{\"color\":\"red\"}"
--   $6 = "products_id_seq"
--   $7 = "[1,2)"
--   $8 = "price_ranges_id_seq"
--   $9 = "t1"
--   $10 = "tags_id_seq"
--   $11 = "t2"
--   $12 = "tags_id_seq"
--   rows: one batch 0 by 0
    -- batch 0 (pg_store, postgres)
    SELECT "t1"."id", "t1"."name", "t2"."name", "t2"."id", "t3"."name", "t3"."id", ("k"."n" - 1) FROM ROWS FROM (unnest(coalesce($1, ARRAY(SELECT "r2"."id" FROM "products" AS "r2" LIMIT 0)))) WITH ORDINALITY AS "k"("v0", "n") JOIN "products" AS "t1" ON "t1"."id" = "k"."v0" LEFT JOIN "categories" AS "t2" ON "t1"."category_id" = "t2"."id" LEFT JOIN ("product_tags" AS "r1" JOIN "tags" AS "t3" ON "r1"."tag_id" = "t3"."id") ON "t1"."id" = "r1"."product_id" ORDER BY ("k"."n" - 1), "t1"."id"
    --   $1 = keys, column 0
    --   rows: by key number 6: one key 0 {id: 0 integer, name: 1 text, category: {name: 2 text} if 3, product_tags: list of if 5 {name: 4 text}}

-- pg_store.insert_product_tags (pg_store, postgres)
WITH "row1" AS (INSERT INTO "product_tags" ("product_id", "tag_id") VALUES ($1, $2) RETURNING *) SELECT count(*) FROM "row1"
--   $1 = 1
--   $2 = 1
--   rows: one {success: true, affected_rows: 0 count, message: "success"}

-- pg_store.update_products (pg_store, postgres)
WITH "changed" AS (UPDATE "products" AS "t1" SET "price" = $1, "description" = $2 WHERE "t1"."id" = $3 RETURNING 1) SELECT count(*) FROM "changed"
--   $1 = 2
--   $2 = null
--   $3 = 1
--   rows: one {success: true, affected_rows: 0 count}

-- pg_store.delete_products (pg_store, postgres)
WITH "changed" AS (DELETE FROM "products" AS "t1" WHERE EXISTS (SELECT 1 FROM "categories" AS "r3" WHERE "t1"."category_id" = "r3"."id" AND "r3"."name" = $1) RETURNING 1) SELECT count(*) FROM "changed"
--   $1 = "C"
--   rows: one {affected_rows: 0 count}

-- pg_store.all (pg_store, postgres)
WITH "changed" AS (DELETE FROM "tags" AS "t1" RETURNING 1) SELECT count(*) FROM "changed"
--   rows: one {affected_rows: 0 count}
