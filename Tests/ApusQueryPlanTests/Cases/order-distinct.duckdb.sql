-- pg_store.path (pg_store, duckdb)
SELECT "t1"."name" FROM "products" AS "t1" ORDER BY (SELECT (SELECT "t1__"."name" FROM "categories" AS "t1__" WHERE "t1_"."parent_id" = "t1__"."id" ORDER BY "t1__"."id" LIMIT 1) FROM "categories" AS "t1_" WHERE "t1"."category_id" = "t1_"."id" ORDER BY "t1_"."id" LIMIT 1), "t1"."name" DESC LIMIT 2001
--   rows: list of up to 2000 {label: 0 text}

-- pg_store.distinct (pg_store, duckdb)
SELECT "t1"."id", "t1"."category_id", "t2"."id" FROM (SELECT "t1".* FROM (SELECT "t1".*, row_number() OVER (PARTITION BY "t1"."category_id" ORDER BY "t1"."price") AS "#first" FROM "products" AS "t1") AS "t1" WHERE "t1"."#first" = 1 ORDER BY "t1"."price" LIMIT $1::bigint OFFSET $2::bigint) AS "t1" LEFT JOIN ("product_tags" AS "t2j" JOIN "tags" AS "t2" ON "t2j"."tag_id" = "t2"."id") ON "t1"."id" = "t2j"."product_id" ORDER BY "t1"."price", "t1"."id"
--   $1 = 3
--   $2 = 1
--   rows: list of key 0 {id: 0 integer, category_id: 1 integer, product_tags: list of if 2 {id: 2 integer}}

-- pg_store.count (pg_store, duckdb)
SELECT "t1"."id" FROM "categories" AS "t1" ORDER BY (SELECT (avg("t1_"."price"))::double precision FROM "products" AS "t1_" WHERE "t1"."id" = "t1_"."category_id") DESC LIMIT 2001
--   rows: list of up to 2000 {id: 0 integer}
