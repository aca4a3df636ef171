-- pg_store.products (pg_store, postgres)
SELECT "t1"."id", "t1"."name", "t2"."id", "t2"."name", "t3"."id", "t3"."name" FROM "products" AS "t1" LEFT JOIN "categories" AS "t2" ON "t1"."category_id" = "t2"."id" LEFT JOIN "categories" AS "t3" ON "t2"."parent_id" = "t3"."id" WHERE "t1"."id" = $1 LIMIT 2001
--   $1 = 1
--   rows: list of up to 2000 {id: 0 integer, name: 1 text, category: {id: 2 integer, name: 3 text, parent: {id: 4 integer, name: 5 text} if 4} if 2}
