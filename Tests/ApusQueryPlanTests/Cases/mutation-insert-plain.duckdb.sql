-- pg_store.insert_tags (pg_store, duckdb)
INSERT INTO "tags" ("name", "id") VALUES ($1, nextval($2::text)) RETURNING "id"
--   $1 = "x"
--   $2 = "tags_id_seq"
--   rows: one batch 0 by 0
    -- batch 0 (pg_store, duckdb)
    SELECT "t1"."id", "t1"."name", "k"."key" FROM json_each($1) AS "k" JOIN "tags" AS "t1" ON "t1"."id" = (json_extract_string("k"."value", '$'))::integer ORDER BY "k"."key", "t1"."id"
    --   $1 = keys, JSON of number
    --   rows: by key number 2: one {id: 0 integer, name: 1 text}

-- pg_store.update_tags (pg_store, duckdb)
UPDATE "tags" AS "t1" SET "name" = $1 WHERE list_contains(($2)::integer[], "t1"."id") RETURNING 1
--   $1 = "y"
--   $2 = list ["1", "2"]
--   rows: one {affected_rows: 0 count, success: true, message: "success"}
