-- pg_store.products (pg_store, postgres)
SELECT "t1"."id", "t1"."name", "t1"."price", "t2"."id", "t2"."name" FROM "products" AS "t1" LEFT JOIN "categories" AS "t2" ON "t1"."category_id" = "t2"."id" WHERE EXISTS (SELECT 1 FROM "categories" AS "r1" WHERE "t1"."category_id" = "r1"."id" AND "r1"."id" = $1) ORDER BY "t1"."id" LIMIT 2001
--   $1 = 2
--   rows: list of up to 2000 {id: 0 integer, name: 1 text, price: 2 number, category: {id: 3 integer, name: 4 text} if 3}
