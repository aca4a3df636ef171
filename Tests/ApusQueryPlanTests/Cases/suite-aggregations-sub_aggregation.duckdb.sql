-- pg_store.categories_aggregation (pg_store, duckdb)
SELECT count(*), sum("t3"."#0"), (avg("t3"."#1"))::double precision FROM "categories" AS "t1" LEFT JOIN LATERAL (SELECT count(*) AS "#0", (avg("t2"."price"))::double precision AS "#1" FROM "products" AS "t2" WHERE "t1"."id" = "t2"."category_id") AS "t3" ON true
--   rows: one {_rows_count: 0 count, products_aggregation: {_rows_count: {sum: 1 integer}, price: {avg: {avg: 2 number}}}}
