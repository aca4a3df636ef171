-- pg_store.products (pg_store, sqlite)
SELECT "t1"."id", "t1"."name", "t2"."id", "t2"."name" FROM "products" AS "t1" LEFT JOIN "categories" AS "t2" ON "t1"."category_id" = "t2"."id" WHERE "t1"."id" = $1 LIMIT 2001
--   $1 = 1
--   rows: list of up to 2000 {id: 0 integer, name: 1 text, category: {id: 2 integer, name: 3 text} if 2}
