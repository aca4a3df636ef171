-- local_db.events (local_db, postgres)
SELECT "t1"."id", "t1"."name", "t2"."id", "t2"."name", ("t2"."specs")::jsonb #>> $1::text[], (("t2"."specs")::jsonb #>> $2::text[])::integer, nullif(jsonb_typeof(("t2"."specs")::jsonb), 'null') FROM (SELECT "t1".* FROM "events" AS "t1" WHERE "t1"."id" = ANY($3) ORDER BY "t1"."id" LIMIT 2001) AS "t1" LEFT JOIN "items" AS "t2" ON "t1"."id" = "t2"."id" ORDER BY "t1"."id", "t2"."id"
--   $1 = list ["\"cpu\""]
--   $2 = list ["\"ram_gb\""]
--   $3 = list ["1", "2", "3"]
--   rows: list of key 0 up to 2000 {id: 0 integer, name: 1 text, item: list of if 2 {id: 2 integer, name: 3 text, specs: {cpu: 4 text, ram_gb: 5 integer} if 6}}
