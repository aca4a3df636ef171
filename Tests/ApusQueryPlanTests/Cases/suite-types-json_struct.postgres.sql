-- pg_store.products (pg_store, postgres)
SELECT "t1"."id", "t1"."name", CASE WHEN "t1"."tags" IS NOT NULL THEN json_build_object($1::text, ("t1"."tags")::jsonb -> $2::text, $3::text, ("t1"."tags")::jsonb -> $4::text) END FROM "products" AS "t1" WHERE "t1"."id" = $5 LIMIT 2001
--   $1 = "color"
--   $2 = "color"
--   $3 = "weight"
--   $4 = "weight"
--   $5 = 1
--   rows: list of up to 2000 {id: 0 integer, name: 1 text, tags: 2 json}

-- local_db.items (local_db, postgres)
SELECT "t1"."id", "t1"."name", CASE WHEN "t1"."tags" IS NOT NULL THEN json_build_object($1::text, ("t1"."tags")::jsonb -> $2::text) END FROM "items" AS "t1" WHERE "t1"."id" = $3 LIMIT 2001
--   $1 = "color"
--   $2 = "color"
--   $3 = 1
--   rows: list of up to 2000 {id: 0 integer, name: 1 text, tags: 2 json}
