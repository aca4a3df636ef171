-- local_db.events_aggregation (local_db, sqlite)
SELECT count(*), count(json_extract("t1"."metadata", $1)), sum(CAST(json_extract("t1"."metadata", $2) AS REAL)), CAST(avg(CAST(json_extract("t1"."metadata", $3) AS REAL)) AS REAL) FROM "events" AS "t1"
--   $1 = "$.\"attendees\""
--   $2 = "$.\"attendees\""
--   $3 = "$.\"attendees\""
--   rows: one {_rows_count: 0 count, metadata: {count: 1 count, sum: 2 number, avg: 3 number}}
