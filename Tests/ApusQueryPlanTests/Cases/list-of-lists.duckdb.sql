-- pg_store.categories (pg_store, duckdb)
SELECT "t1"."name", "t2"."name", "t3"."name", "t3"."id", "t2"."category_id", "t2"."id", "t1"."id" FROM (SELECT "t1".* FROM "categories" AS "t1" ORDER BY "t1"."id" LIMIT 2001) AS "t1" LEFT JOIN "products" AS "t2" ON "t1"."id" = "t2"."category_id" LEFT JOIN ("product_tags" AS "r1" JOIN "tags" AS "t3" ON "r1"."tag_id" = "t3"."id") ON "t2"."id" = "r1"."product_id" ORDER BY "t1"."id", "t2"."id", "t3"."name"
--   rows: list of key 6 up to 2000 {name: 0 text, products: list of key 5 if 4 {name: 1 text, product_tags: list of if 3 {name: 2 text}}}
