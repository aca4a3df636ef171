-- local_db.items (local_db, duckdb)
SELECT "t1"."id", "t1"."name", struct_extract("t1"."specs", $1), struct_extract("t1"."specs", $2), struct_extract("t1"."specs", $3), CASE WHEN "t1"."specs" IS NOT NULL THEN 1 END FROM "items" AS "t1" WHERE "t1"."id" = $4 LIMIT 2001
--   $1 = "cpu"
--   $2 = "ram_gb"
--   $3 = "storage_gb"
--   $4 = 1
--   rows: list of up to 2000 {id: 0 integer, name: 1 text, specs: {cpu: 2 text, ram_gb: 3 integer, storage_gb: 4 integer} if 5}
