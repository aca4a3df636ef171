-- pg_store.insert_many_tags (pg_store, duckdb)
INSERT INTO "tags" AS "t1" ("id", "name") VALUES ($1, $2), ($3, $4) ON CONFLICT ("id") DO NOTHING RETURNING "id"
--   $1 = 1
--   $2 = "a"
--   $3 = 9
--   $4 = "b"
--   rows: list of batch 0 by 0
    -- batch 0 (pg_store, duckdb)
    SELECT "t1"."id", "k"."key" FROM json_each($1) AS "k" JOIN "tags" AS "t1" ON "t1"."id" = (json_extract_string("k"."value", '$'))::integer ORDER BY "k"."key", "t1"."id"
    --   $1 = keys, JSON of number
    --   rows: by key number 1: one {id: 0 integer}
