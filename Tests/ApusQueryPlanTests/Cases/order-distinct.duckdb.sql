-- pg_store.path (pg_store, duckdb)
SELECT "t1"."name" FROM "products" AS "t1" ORDER BY (SELECT (SELECT "r2"."name" FROM "categories" AS "r2" WHERE "r1"."parent_id" = "r2"."id" ORDER BY "r2"."id" LIMIT 1) FROM "categories" AS "r1" WHERE "t1"."category_id" = "r1"."id" ORDER BY "r1"."id" LIMIT 1), "t1"."name" DESC LIMIT 2001
--   rows: list of up to 2000 {label: 0 text}

-- pg_store.distinct (pg_store, duckdb)
SELECT "t1"."id", "t1"."category_id", "t2"."id" FROM (SELECT "t1".* FROM (SELECT "t1".*, row_number() OVER (PARTITION BY "t1"."category_id" ORDER BY "t1"."price") AS "#first" FROM "products" AS "t1") AS "t1" WHERE "t1"."#first" = 1 ORDER BY "t1"."price" LIMIT $1::bigint OFFSET $2::bigint) AS "t1" LEFT JOIN ("product_tags" AS "r3" JOIN "tags" AS "t2" ON "r3"."tag_id" = "t2"."id") ON "t1"."id" = "r3"."product_id" ORDER BY "t1"."price", "t1"."id"
--   $1 = 3
--   $2 = 1
--   rows: list of key 0 {id: 0 integer, category_id: 1 integer, product_tags: list of if 2 {id: 2 integer}}

-- pg_store.count (pg_store, duckdb)
SELECT "t1"."id" FROM "categories" AS "t1" ORDER BY (SELECT (avg("r4"."price"))::double precision FROM "products" AS "r4" WHERE "t1"."id" = "r4"."category_id") DESC LIMIT 2001
--   rows: list of up to 2000 {id: 0 integer}
