-- pg_store.categories (pg_store, duckdb)
SELECT "t1"."id", "t4"."#0", "t4"."#1", "t4"."#2", "t4"."#3" FROM "categories" AS "t1" LEFT JOIN LATERAL (SELECT count(*) AS "#0", min("t2"."price") AS "#1", max("t2"."price") AS "#2", count("t3"."name") AS "#3" FROM "products" AS "t2" LEFT JOIN "categories" AS "t3" ON "t2"."category_id" = "t3"."id" WHERE "t1"."id" = "t2"."category_id" AND "t2"."is_active" = $1) AS "t4" ON true ORDER BY "t1"."id" LIMIT 2001
--   $1 = true
--   rows: list of up to 2000 {id: 0 integer, products_aggregation: {_rows_count: 1 count, price: {min: 2 number, max: 3 number}, category: {name: {count: 4 count}}}}

-- pg_store.filtered (pg_store, duckdb)
SELECT count(*), to_json(list(DISTINCT "t1"."name" ORDER BY "t1"."name")), string_agg(("t1"."name")::text, $1::text ORDER BY "t1"."id"), bool_and("t1"."is_active") FROM (SELECT "t1".* FROM "products" AS "t1" WHERE "t1"."price" > $2 ORDER BY "t1"."id" LIMIT $3::bigint) AS "t1"
--   $1 = ", "
--   $2 = 20
--   $3 = 2
--   rows: one {_rows_count: 0 count, name: {list: 1 list of text, string_agg: 2 text}, is_active: {bool_and: 3 boolean}}
