-- pg_store.products (pg_store, sqlite)
SELECT "t1"."id", "t1"."name", "t1"."tags" FROM "products" AS "t1" WHERE "t1"."tags" IS NOT NULL ORDER BY "t1"."id" LIMIT 2001
--   rows: list of up to 2000 {id: 0 integer, name: 1 text, tags: 2 json}
