-- pg_store.products_aggregation (pg_store, postgres)
SELECT count(*), sum("t1"."price"), (avg("t1"."price"))::double precision, min("t1"."price"), max("t1"."price") FROM "products" AS "t1"
--   rows: one {_rows_count: 0 count, price: {sum: 1 number, avg: 2 number, min: 3 number, max: 4 number}}
