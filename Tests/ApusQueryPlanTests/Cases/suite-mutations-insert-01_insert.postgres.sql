-- pg_store.insert_products (pg_store, postgres)
WITH "row1" AS (INSERT INTO "products" ("name", "price", "quantity", "is_active", "description", "category_id", "id") VALUES ($1, $2, $3, $4, $5, $6, nextval(($7::text)::regclass)) RETURNING *) SELECT "told"."id" FROM "row1" AS "told"
--   $1 = "Test Product"
--   $2 = 99.99
--   $3 = 7
--   $4 = true
--   $5 = "Created by E2E test"
--   $6 = 1
--   $7 = "products_id_seq"
--   rows: one batch 0 by 0
    -- batch 0 (pg_store, postgres)
    SELECT "t1"."id", "t1"."name", "t1"."price", "t1"."quantity", ("k"."n" - 1) FROM ROWS FROM (unnest(coalesce($1, ARRAY(SELECT "r1"."id" FROM "products" AS "r1" LIMIT 0)))) WITH ORDINALITY AS "k"("v0", "n") JOIN "products" AS "t1" ON "t1"."id" = "k"."v0" ORDER BY ("k"."n" - 1), "t1"."id"
    --   $1 = keys, column 0
    --   rows: by key number 4: one {id: 0 integer, name: 1 text, price: 2 number, quantity: 3 integer}
