-- pg_store.insert_many_categories (pg_store, postgres)
WITH "row1" AS (INSERT INTO "categories" ("name", "id") VALUES ($1, nextval(($2::text)::regclass)) RETURNING *), "row2" AS (INSERT INTO "products" ("category_id", "name", "price", "id") VALUES ((SELECT "row1"."id" FROM "row1"), $3, $4, nextval(($5::text)::regclass)) RETURNING *), "row3" AS (INSERT INTO "categories" ("name", "id") VALUES ($6, nextval(($7::text)::regclass)) RETURNING *) SELECT "told"."id" FROM "row1" AS "told" UNION ALL SELECT "told"."id" FROM "row3" AS "told"
--   $1 = "c"
--   $2 = "categories_id_seq"
--   $3 = "p"
--   $4 = 1
--   $5 = "products_id_seq"
--   $6 = "d"
--   $7 = "categories_id_seq"
--   rows: list of batch 0 by 0
    -- batch 0 (pg_store, postgres)
    SELECT "t1"."id", ("k"."n" - 1) FROM ROWS FROM (unnest(coalesce($1, ARRAY(SELECT "r1"."id" FROM "categories" AS "r1" LIMIT 0)))) WITH ORDINALITY AS "k"("v0", "n") JOIN "categories" AS "t1" ON "t1"."id" = "k"."v0" ORDER BY ("k"."n" - 1), "t1"."id"
    --   $1 = keys, column 0
    --   rows: by key number 1: one {id: 0 integer}
