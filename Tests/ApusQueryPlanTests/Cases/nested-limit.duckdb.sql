-- pg_store.categories (pg_store, duckdb)
SELECT "t1"."id", "t2"."name", "t2"."category_id" FROM (SELECT "t1".* FROM "categories" AS "t1" ORDER BY "t1"."id" LIMIT 2001) AS "t1" LEFT JOIN LATERAL (SELECT "t2".* FROM "products" AS "t2" WHERE "t1"."id" = "t2"."category_id" ORDER BY "t2"."price" DESC LIMIT $1::bigint) AS "t2" ON true ORDER BY "t1"."id", "t2"."price" DESC
--   $1 = 1
--   rows: list of key 0 up to 2000 {id: 0 integer, products: list of if 2 {name: 1 text}}
