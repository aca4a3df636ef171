-- local_db.items (local_db, duckdb)
SELECT "t1"."id", "t1"."name", ("t1"."specs")."cpu", ("t1"."specs")."ram_gb", ("t1"."specs")."storage_gb", CASE WHEN "t1"."specs" IS NOT NULL THEN 1 END FROM "items" AS "t1" WHERE "t1"."id" = $1 LIMIT 2001
--   $1 = 1
--   rows: list of up to 2000 {id: 0 integer, name: 1 text, specs: {cpu: 2 text, ram_gb: 3 integer, storage_gb: 4 integer} if 5}
