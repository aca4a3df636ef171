-- pg_store.insert_many_tags (pg_store, postgres)
WITH "row1" AS (INSERT INTO "tags" AS "t1" ("id", "name") VALUES ($1, $2), ($3, $4) ON CONFLICT ("id") DO NOTHING RETURNING *) SELECT "told"."id" FROM "row1" AS "told"
--   $1 = 1
--   $2 = "a"
--   $3 = 9
--   $4 = "b"
--   rows: list of batch 0 by 0
    -- batch 0 (pg_store, postgres)
    SELECT "t1"."id", ("k"."n" - 1) FROM ROWS FROM (unnest(coalesce($1, ARRAY(SELECT "r1"."id" FROM "tags" AS "r1" LIMIT 0)))) WITH ORDINALITY AS "k"("v0", "n") JOIN "tags" AS "t1" ON "t1"."id" = "k"."v0" ORDER BY ("k"."n" - 1), "t1"."id"
    --   $1 = keys, column 0
    --   rows: by key number 1: one {id: 0 integer}
