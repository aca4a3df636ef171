-- pg_store.categories (pg_store, postgres)
SELECT "t1"."id", "t2"."id", "t2"."category_id" FROM (SELECT "t1".* FROM "categories" AS "t1" LIMIT 2001) AS "t1" LEFT JOIN (SELECT "t2".* FROM "products" AS "t2" ORDER BY "t2"."id" LIMIT $1::bigint) AS "t2" ON "t1"."id" = "t2"."category_id" ORDER BY "t1"."id", "t2"."id"
--   $1 = 1
--   rows: list of key 0 up to 2000 {id: 0 integer, products: list of if 2 {id: 1 integer}}
