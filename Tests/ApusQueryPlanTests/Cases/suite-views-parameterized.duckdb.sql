-- pg_store.products_in_price_range (pg_store, duckdb)
SELECT "t1"."id", "t1"."name", "t1"."price" FROM (SELECT id, name, price FROM products WHERE price >= $1::double precision AND price <= $2::double precision) AS "t1" ORDER BY "t1"."id" LIMIT 2001
--   $1 = 10.0
--   $2 = 50.0
--   rows: list of up to 2000 {id: 0 integer, name: 1 text, price: 2 number}
