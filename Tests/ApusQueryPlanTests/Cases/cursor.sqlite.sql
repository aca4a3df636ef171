-- pg_store.products_edges (pg_store, sqlite)
SELECT "t1"."name", lower(hex($1 || json_array(CASE typeof("t1"."price") WHEN 'real' THEN printf('%!.17g', "t1"."price") ELSE CAST("t1"."price" AS TEXT) END, CASE typeof("t1"."id") WHEN 'real' THEN printf('%!.17g', "t1"."id") ELSE CAST("t1"."id" AS TEXT) END))) FROM "products" AS "t1" ORDER BY "t1"."price" DESC, "t1"."id" DESC LIMIT $2
--   $1 = "618d1755b8a116ee"
--   $2 = 2
--   rows: list of {node: {name: 0 text}, cursor: 1 text}
