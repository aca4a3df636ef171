-- pg_store.products (pg_store, duckdb)
SELECT "t1"."id", "t1"."name", "t1"."category_id", "t2"."id", "t2"."name" FROM (SELECT "t1".* FROM "products" AS "t1" WHERE "t1"."id" = $1 LIMIT 2001) AS "t1" LEFT JOIN "categories" AS "t2" ON "t1"."category_id" = "t2"."id" ORDER BY "t1"."id"
--   $1 = 1
--   rows: list of key 0 up to 2000 {id: 0 integer, name: 1 text, category_id: 2 integer, _join: {pg_store_categories: list of if 3 {id: 3 integer, name: 4 text}}}
