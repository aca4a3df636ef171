-- local_db.events_aggregation (local_db, postgres)
SELECT count(*), count(("t1"."metadata")::jsonb #>> $1::text[]), sum((("t1"."metadata")::jsonb #>> $2::text[])::double precision), (avg((("t1"."metadata")::jsonb #>> $3::text[])::double precision))::double precision FROM "events" AS "t1"
--   $1 = list ["\"attendees\""]
--   $2 = list ["\"attendees\""]
--   $3 = list ["\"attendees\""]
--   rows: one {_rows_count: 0 count, metadata: {count: 1 count, sum: 2 number, avg: 3 number}}
