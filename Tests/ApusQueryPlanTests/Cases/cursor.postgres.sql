-- pg_store.products_edges (pg_store, postgres)
SELECT "t1"."name", encode(convert_to($1::text || json_build_array(("t1"."price")::text, ("t1"."id")::text)::text, 'UTF8'), 'hex') FROM "products" AS "t1" ORDER BY "t1"."price" DESC, "t1"."id" DESC LIMIT $2::bigint
--   $1 = "618d1755b8a116ee"
--   $2 = 2
--   rows: list of {node: {name: 0 text}, cursor: 1 text}
