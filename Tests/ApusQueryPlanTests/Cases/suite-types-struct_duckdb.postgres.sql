-- local_db.items (local_db, postgres)
SELECT "t1"."id", "t1"."name", ("t1"."specs")::jsonb #>> $1::text[], (("t1"."specs")::jsonb #>> $2::text[])::integer, (("t1"."specs")::jsonb #>> $3::text[])::integer, nullif(jsonb_typeof(("t1"."specs")::jsonb), 'null') FROM "items" AS "t1" WHERE "t1"."id" = $4 LIMIT 2001
--   $1 = list ["\"cpu\""]
--   $2 = list ["\"ram_gb\""]
--   $3 = list ["\"storage_gb\""]
--   $4 = 1
--   rows: list of up to 2000 {id: 0 integer, name: 1 text, specs: {cpu: 2 text, ram_gb: 3 integer, storage_gb: 4 integer} if 5}
