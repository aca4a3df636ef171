-- pg_store.product_details (pg_store, postgres)
SELECT "t1"."product_id", ("t1"."specs")::jsonb #>> $1::text[], (("t1"."specs")::jsonb #>> $2::text[])::integer, (("t1"."specs")::jsonb #>> $3::text[])::integer, nullif(jsonb_typeof(("t1"."specs")::jsonb), 'null'), (("t1"."metadata")::jsonb #>> $4::text[])::integer, ("t1"."metadata")::jsonb #>> $5::text[], nullif(jsonb_typeof(("t1"."metadata")::jsonb), 'null') FROM "product_details" AS "t1" WHERE "t1"."product_id" = $6 LIMIT 2001
--   $1 = list ["\"cpu\""]
--   $2 = list ["\"ram_gb\""]
--   $3 = list ["\"storage_gb\""]
--   $4 = list ["\"warranty_years\""]
--   $5 = list ["\"origin\""]
--   $6 = 1
--   rows: list of up to 2000 {product_id: 0 integer, specs: {cpu: 1 text, ram_gb: 2 integer, storage_gb: 3 integer} if 4, metadata: {warranty_years: 5 integer, origin: 6 text} if 7}
