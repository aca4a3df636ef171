-- pg_store.products_bucket_aggregation (pg_store, postgres)
SELECT "t1"."category_id", "t2"."name", max(CASE WHEN "t2"."id" IS NOT NULL THEN 1 END), count(*), sum("t1"."price"), (avg("t1"."price"))::double precision, count(*) FILTER (WHERE "t1"."is_active" = $1) FROM "products" AS "t1" LEFT JOIN "categories" AS "t2" ON "t1"."category_id" = "t2"."id" GROUP BY 1, 2 ORDER BY 1, 5 DESC LIMIT $2::bigint
--   $1 = true
--   $2 = 5
--   rows: list of {key: {category_id: 0 integer, category: {name: 1 text} if 2}, all: {_rows_count: 3 count, price: {sum: 4 number, avg: 5 number}}, active: {_rows_count: 6 count}}

-- pg_store.months (pg_store, postgres)
SELECT (date_trunc($1::text, "t1"."release_date"))::date, count(*) FROM "products" AS "t1" GROUP BY 1 LIMIT 2001
--   $1 = "month"
--   rows: list of up to 2000 {key: {release_date: 0 date}, aggregations: {_rows_count: 1 count}}

-- pg_store.keys (pg_store, postgres)
SELECT "t1"."is_active" FROM "products" AS "t1" GROUP BY 1 LIMIT 2001
--   rows: list of up to 2000 {key: {is_active: 0 boolean}}

-- pg_store.categories (pg_store, postgres)
SELECT "t1"."id" FROM "categories" AS "t1" LIMIT 2001
--   rows: list of up to 2000 {id: 0 integer, products_bucket_aggregation: batch 0 by 0}
    -- batch 0 (pg_store, postgres)
    SELECT ("k"."n" - 1), "t1"."is_active", count(*) FROM ROWS FROM (unnest(coalesce($1, ARRAY(SELECT "r1"."category_id" FROM "products" AS "r1" LIMIT 0)))) WITH ORDINALITY AS "k"("v0", "n") JOIN "products" AS "t1" ON "t1"."category_id" = "k"."v0" GROUP BY 1, 2 ORDER BY 1
    --   $1 = keys, column 0
    --   rows: by key number 0: list of {key: {is_active: 1 boolean}, aggregations: {_rows_count: 2 count}}
