-- pg_store.products_edges (pg_store, duckdb)
SELECT "t1"."id", "t2"."id" FROM (SELECT "t1".* FROM "products" AS "t1" WHERE ("t1"."price", "t1"."id") < (($1)::double precision, ($2)::integer) ORDER BY "t1"."price" DESC, "t1"."id" DESC LIMIT $3::bigint) AS "t1" LEFT JOIN ("product_tags" AS "r1" JOIN "tags" AS "t2" ON "r1"."tag_id" = "t2"."id") ON "t1"."id" = "r1"."product_id" ORDER BY "t1"."price" DESC, "t1"."id" DESC, "t1"."id"
--   $1 = "49.99"
--   $2 = "3"
--   $3 = 2
--   rows: list of key 0 {node: {id: 0 integer, product_tags: list of if 1 {id: 1 integer}}}
