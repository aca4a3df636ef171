-- pg_store.insert_products (pg_store, postgres)
WITH "row1" AS (INSERT INTO "products" AS "t1" ("id", "name", "price") VALUES ($1, $2, $3) ON CONFLICT ("id") DO UPDATE SET "name" = excluded."name", "price" = excluded."price" WHERE "t1"."quantity" < $4 RETURNING *) SELECT "told"."id" FROM "row1" AS "told"
--   $1 = 1
--   $2 = "a"
--   $3 = 1
--   $4 = 5
--   rows: one batch 0 by 0
    -- batch 0 (pg_store, postgres)
    SELECT "t1"."id", "t1"."name", ("k"."n" - 1) FROM ROWS FROM (unnest(coalesce($1, ARRAY(SELECT "r1"."id" FROM "products" AS "r1" LIMIT 0)))) WITH ORDINALITY AS "k"("v0", "n") JOIN "products" AS "t1" ON "t1"."id" = "k"."v0" ORDER BY ("k"."n" - 1), "t1"."id"
    --   $1 = keys, column 0
    --   rows: by key number 2: one {id: 0 integer, name: 1 text}
