-- local_db.events (local_db, sqlite)
SELECT "t1"."id", "t1"."name", CAST(strftime($1, "t1"."created_at") AS INTEGER) FROM "events" AS "t1" ORDER BY "t1"."id" LIMIT $2
--   $1 = "%Y"
--   $2 = 3
--   rows: list of {id: 0 integer, name: 1 text, _created_at_part: 2 integer}
