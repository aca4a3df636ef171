-- pg_store.products (pg_store, postgres)
SELECT "t1"."id", "t1"."name" FROM "products" AS "t1" WHERE "t1"."id" = ANY($1) ORDER BY "t1"."id" LIMIT 2001
--   $1 = list ["1", "2", "3"]
--   rows: list of up to 2000 {id: 0 integer, name: 1 text, matching_items: batch 0 by 0}
    -- batch 0 (local_db, postgres)
    SELECT "t1"."id", "t1"."name", ("k"."n" - 1) FROM ROWS FROM (unnest(coalesce($1, ARRAY(SELECT "r1"."id" FROM "items" AS "r1" LIMIT 0)))) WITH ORDINALITY AS "k"("v0", "n") JOIN "items" AS "t1" ON "t1"."id" = "k"."v0" ORDER BY ("k"."n" - 1), "t1"."id"
    --   $1 = keys, column 0
    --   rows: by key number 2: list of {id: 0 integer, name: 1 text}
