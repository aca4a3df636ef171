-- local_db.items (local_db, sqlite)
SELECT "t1"."id", "t1"."name", json_extract("t1"."specs", $1), json_extract("t1"."specs", $2), json_extract("t1"."specs", $3), nullif(json_type("t1"."specs"), 'null') FROM "items" AS "t1" WHERE "t1"."id" = $4 LIMIT 2001
--   $1 = "$.\"cpu\""
--   $2 = "$.\"ram_gb\""
--   $3 = "$.\"storage_gb\""
--   $4 = 1
--   rows: list of up to 2000 {id: 0 integer, name: 1 text, specs: {cpu: 2 text, ram_gb: 3 integer, storage_gb: 4 integer} if 5}
