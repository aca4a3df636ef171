-- pg_store.categories (pg_store, duckdb)
SELECT "t1"."id", "t2"."name", "t2"."category_id" FROM (SELECT "t1".* FROM "categories" AS "t1" ORDER BY "t1"."id" LIMIT 2001) AS "t1" LEFT JOIN (SELECT * FROM (SELECT "t2".*, "t2"."category_id" AS "#key0", row_number() OVER (PARTITION BY "t2"."category_id" ORDER BY "t2"."price" DESC) AS "#number" FROM "products" AS "t2") AS "t2" WHERE "#number" <= 0 + $1::bigint) AS "t2" ON "t1"."id" = "t2"."#key0" ORDER BY "t1"."id", "t2"."price" DESC
--   $1 = 1
--   rows: list of key 0 up to 2000 {id: 0 integer, products: list of if 2 {name: 1 text}}
