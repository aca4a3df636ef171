-- pg_store.products (pg_store, sqlite)
SELECT "t1"."id", "t1"."name", CASE WHEN "t1"."tags" IS NOT NULL THEN json_object($1, "t1"."tags" -> $2, $3, "t1"."tags" -> $4) END FROM "products" AS "t1" WHERE "t1"."id" = $5 LIMIT 2001
--   $1 = "color"
--   $2 = "$.\"color\""
--   $3 = "weight"
--   $4 = "$.\"weight\""
--   $5 = 1
--   rows: list of up to 2000 {id: 0 integer, name: 1 text, tags: 2 json}

-- local_db.items (local_db, sqlite)
SELECT "t1"."id", "t1"."name", CASE WHEN "t1"."tags" IS NOT NULL THEN json_object($1, "t1"."tags" -> $2) END FROM "items" AS "t1" WHERE "t1"."id" = $3 LIMIT 2001
--   $1 = "color"
--   $2 = "$.\"color\""
--   $3 = 1
--   rows: list of up to 2000 {id: 0 integer, name: 1 text, tags: 2 json}
