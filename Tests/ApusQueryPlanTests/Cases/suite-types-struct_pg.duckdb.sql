-- pg_store.product_details (pg_store, duckdb)
SELECT "t1"."product_id", ("t1"."specs")."cpu", ("t1"."specs")."ram_gb", ("t1"."specs")."storage_gb", CASE WHEN "t1"."specs" IS NOT NULL THEN 1 END, ("t1"."metadata")."warranty_years", ("t1"."metadata")."origin", CASE WHEN "t1"."metadata" IS NOT NULL THEN 1 END FROM "product_details" AS "t1" WHERE "t1"."product_id" = $1 LIMIT 2001
--   $1 = 1
--   rows: list of up to 2000 {product_id: 0 integer, specs: {cpu: 1 text, ram_gb: 2 integer, storage_gb: 3 integer} if 4, metadata: {warranty_years: 5 integer, origin: 6 text} if 7}
