-- pg_store.categories_aggregation (pg_store, sqlite)
SELECT count(*), sum("t3"."#0"), CAST(avg("t3"."#1") AS REAL) FROM "categories" AS "t1" LEFT JOIN (SELECT "t2"."category_id" AS "#key0", count(*) AS "#0", CAST(avg("t2"."price") AS REAL) AS "#1" FROM "products" AS "t2" GROUP BY "t2"."category_id") AS "t3" ON "t1"."id" = "t3"."#key0"
--   rows: one {_rows_count: 0 count, products_aggregation: {_rows_count: {sum: 1 integer}, price: {avg: {avg: 2 number}}}}
