-- local_db.events (local_db, duckdb)
SELECT "t1"."id", "t1"."name", "t2"."id", "t2"."name", ("t2"."specs")."cpu", ("t2"."specs")."ram_gb", CASE WHEN "t2"."specs" IS NOT NULL THEN 1 END FROM (SELECT "t1".* FROM "events" AS "t1" WHERE list_contains(($1)::bigint[], "t1"."id") ORDER BY "t1"."id" LIMIT 2001) AS "t1" LEFT JOIN "items" AS "t2" ON "t1"."id" = "t2"."id" ORDER BY "t1"."id", "t2"."id"
--   $1 = list ["1", "2", "3"]
--   rows: list of key 0 up to 2000 {id: 0 integer, name: 1 text, item: list of if 2 {id: 2 integer, name: 3 text, specs: {cpu: 4 text, ram_gb: 5 integer} if 6}}
