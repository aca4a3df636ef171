-- pg_store.insert_many_products (pg_store, postgres)
WITH "row1" AS (INSERT INTO "products" ("name", "price", "quantity", "id") VALUES ($1, $2, $3, nextval(($4::text)::regclass)), ($5, $6, DEFAULT, nextval(($7::text)::regclass)) RETURNING *) SELECT "told"."id" FROM "row1" AS "told"
--   $1 = "a"
--   $2 = 1
--   $3 = 3
--   $4 = "products_id_seq"
--   $5 = "b"
--   $6 = 2
--   $7 = "products_id_seq"
--   rows: list of batch 0 by 0
    -- batch 0 (pg_store, postgres)
    SELECT "t1"."id", ("k"."n" - 1) FROM ROWS FROM (unnest(coalesce($1, ARRAY(SELECT "r1"."id" FROM "products" AS "r1" LIMIT 0)))) WITH ORDINALITY AS "k"("v0", "n") JOIN "products" AS "t1" ON "t1"."id" = "k"."v0" ORDER BY ("k"."n" - 1), "t1"."id"
    --   $1 = keys, column 0
    --   rows: by key number 1: one {id: 0 integer}
