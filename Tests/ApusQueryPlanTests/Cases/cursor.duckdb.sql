-- pg_store.products_edges (pg_store, duckdb)
SELECT "t1"."name", lower(hex($1::text || CAST(to_json([CAST("t1"."price" AS VARCHAR), CAST("t1"."id" AS VARCHAR)]) AS VARCHAR))) FROM "products" AS "t1" ORDER BY "t1"."price" DESC, "t1"."id" DESC LIMIT $2::bigint
--   $1 = "618d1755b8a116ee"
--   $2 = 2
--   rows: list of {node: {name: 0 text}, cursor: 1 text}
