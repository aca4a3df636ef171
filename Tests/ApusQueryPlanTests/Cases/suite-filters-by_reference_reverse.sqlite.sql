-- pg_store.categories (pg_store, sqlite)
SELECT "t1"."id", "t1"."name", "t2"."id", "t2"."name", "t2"."price", "t2"."category_id" FROM (SELECT "t1".* FROM "categories" AS "t1" WHERE EXISTS (SELECT 1 FROM "products" AS "r1" WHERE "t1"."id" = "r1"."category_id" AND "r1"."price" > $1) ORDER BY "t1"."id" LIMIT 2001) AS "t1" LEFT JOIN "products" AS "t2" ON "t1"."id" = "t2"."category_id" ORDER BY "t1"."id", "t2"."id"
--   $1 = 40
--   rows: list of key 0 up to 2000 {id: 0 integer, name: 1 text, products: list of if 5 {id: 2 integer, name: 3 text, price: 4 number}}
