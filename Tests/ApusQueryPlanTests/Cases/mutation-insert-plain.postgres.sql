-- pg_store.insert_tags (pg_store, postgres)
WITH "row1" AS (INSERT INTO "tags" ("name", "id") VALUES ($1, nextval(($2::text)::regclass)) RETURNING *) SELECT "told"."id" FROM "row1" AS "told"
--   $1 = "x"
--   $2 = "tags_id_seq"
--   rows: one batch 0 by 0
    -- batch 0 (pg_store, postgres)
    SELECT "t1"."id", "t1"."name", ("k"."n" - 1) FROM ROWS FROM (unnest(coalesce($1, ARRAY(SELECT "r1"."id" FROM "tags" AS "r1" LIMIT 0)))) WITH ORDINALITY AS "k"("v0", "n") JOIN "tags" AS "t1" ON "t1"."id" = "k"."v0" ORDER BY ("k"."n" - 1), "t1"."id"
    --   $1 = keys, column 0
    --   rows: by key number 2: one {id: 0 integer, name: 1 text}

-- pg_store.update_tags (pg_store, postgres)
WITH "changed" AS (UPDATE "tags" AS "t1" SET "name" = $1 WHERE "t1"."id" = ANY($2) RETURNING 1) SELECT count(*) FROM "changed"
--   $1 = "y"
--   $2 = list ["1", "2"]
--   rows: one {affected_rows: 0 count, success: true, message: "success"}
