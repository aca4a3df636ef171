-- pg_store.products (pg_store, duckdb)
SELECT "t1"."id", "t1"."name", "t2"."id", "t2"."name", "t2"."price" FROM (SELECT "t1".* FROM "products" AS "t1" WHERE list_contains(($1)::integer[], "t1"."id") ORDER BY "t1"."id" LIMIT 2001) AS "t1" LEFT JOIN (SELECT id, name, price FROM products WHERE price >= $2::double precision AND price <= $3::double precision) AS "t2" ON "t1"."id" = "t2"."id" ORDER BY "t1"."id", "t2"."id"
--   $1 = list ["1", "2", "3"]
--   $2 = 20.0
--   $3 = 60.0
--   rows: list of key 0 up to 2000 {id: 0 integer, name: 1 text, in_price_range: list of if 2 {id: 2 integer, name: 3 text, price: 4 number}}
