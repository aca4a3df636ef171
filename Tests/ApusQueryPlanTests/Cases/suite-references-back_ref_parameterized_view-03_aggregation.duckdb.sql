-- pg_store.products (pg_store, duckdb)
SELECT "t1"."id", "t3"."#0", "t3"."#1" FROM "products" AS "t1" LEFT JOIN LATERAL (SELECT count(*) AS "#0", max("t2"."price") AS "#1" FROM (SELECT id, name, price FROM products WHERE price >= $1::double precision AND price <= $2::double precision) AS "t2" WHERE "t1"."id" = "t2"."id") AS "t3" ON true WHERE list_contains(($3)::integer[], "t1"."id") ORDER BY "t1"."id" LIMIT 2001
--   $1 = 20.0
--   $2 = 60.0
--   $3 = list ["2", "3"]
--   rows: list of up to 2000 {id: 0 integer, in_price_range_aggregation: {_rows_count: 1 count, price: {max: 2 number}}}
