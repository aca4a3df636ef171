-- local_db.events (local_db, postgres)
SELECT "t1"."id", "t1"."name", date_part($1::text, "t1"."created_at")::bigint FROM "events" AS "t1" ORDER BY "t1"."id" LIMIT $2::bigint
--   $1 = "year"
--   $2 = 3
--   rows: list of {id: 0 integer, name: 1 text, _created_at_part: 2 integer}
