-- pg_store.products_edges (pg_store, sqlite)
SELECT "t1"."id" FROM "products" AS "t1" WHERE (("t1"."updated_at" > $1 OR ("t1"."updated_at" IS NOT NULL AND $2 IS NULL)) OR (("t1"."updated_at" = $3 OR ("t1"."updated_at" IS NULL AND $4 IS NULL)) AND ("t1"."name" < $5 OR ("t1"."name" = $6 AND "t1"."id" < $7)))) ORDER BY "t1"."updated_at", "t1"."name" DESC, "t1"."id" DESC LIMIT 2001
--   $1 = null
--   $2 = null
--   $3 = null
--   $4 = null
--   $5 = "x"
--   $6 = "x"
--   $7 = 3
--   rows: list of up to 2000 {node: {id: 0 integer}}
