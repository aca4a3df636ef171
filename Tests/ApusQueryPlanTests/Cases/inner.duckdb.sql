-- pg_store.categories (pg_store, duckdb)
SELECT "t1"."id", "t2"."id", "t2"."category_id" FROM (SELECT "t1".* FROM "categories" AS "t1" WHERE EXISTS (SELECT 1 FROM "products" AS "r1" WHERE "t1"."id" = "r1"."category_id" AND "r1"."price" > $1) ORDER BY "t1"."id" LIMIT $2::bigint) AS "t1" LEFT JOIN "products" AS "t2" ON "t1"."id" = "t2"."category_id" AND "t2"."price" > $3 ORDER BY "t1"."id"
--   $1 = 100
--   $2 = 2
--   $3 = 100
--   rows: list of key 0 {id: 0 integer, products: list of if 2 {id: 1 integer}}
