-- pg_store.product_details (pg_store, duckdb)
SELECT "t1"."product_id", struct_extract("t1"."specs", $1), struct_extract("t1"."specs", $2), struct_extract("t1"."specs", $3), CASE WHEN "t1"."specs" IS NOT NULL THEN 1 END, struct_extract("t1"."metadata", $4), struct_extract("t1"."metadata", $5), CASE WHEN "t1"."metadata" IS NOT NULL THEN 1 END FROM "product_details" AS "t1" WHERE "t1"."product_id" = $6 LIMIT 2001
--   $1 = "cpu"
--   $2 = "ram_gb"
--   $3 = "storage_gb"
--   $4 = "warranty_years"
--   $5 = "origin"
--   $6 = 1
--   rows: list of up to 2000 {product_id: 0 integer, specs: {cpu: 1 text, ram_gb: 2 integer, storage_gb: 3 integer} if 4, metadata: {warranty_years: 5 integer, origin: 6 text} if 7}
