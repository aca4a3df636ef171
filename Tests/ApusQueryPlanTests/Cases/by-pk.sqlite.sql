-- pg_store.one (pg_store, sqlite)
SELECT "t1"."id", "t1"."name", "t2"."name", "t2"."id" FROM "products" AS "t1" LEFT JOIN "categories" AS "t2" ON "t1"."category_id" = "t2"."id" WHERE "t1"."id" = $1
--   $1 = 1 (variable 0)
--   rows: one {id: 0 integer, name: 1 text, category: {name: 2 text} if 3}

-- pg_store.none (pg_store, sqlite)
SELECT "t1"."id" FROM "products" AS "t1" WHERE "t1"."id" = $1
--   $1 = 999
--   rows: one {id: 0 integer}
