-- local_db.events_aggregation (local_db, duckdb)
SELECT count(*), count(json_extract_string("t1"."metadata", $1)), sum((json_extract_string("t1"."metadata", $2))::double precision), (avg((json_extract_string("t1"."metadata", $3))::double precision))::double precision FROM "events" AS "t1"
--   $1 = "$.\"attendees\""
--   $2 = "$.\"attendees\""
--   $3 = "$.\"attendees\""
--   rows: one {_rows_count: 0 count, metadata: {count: 1 count, sum: 2 number, avg: 3 number}}
