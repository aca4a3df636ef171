-- pg_store.locations (pg_store, postgres)
SELECT "t1"."id", "t1"."name", ST_AsGeoJSON("t1"."point"), ST_AsGeoJSON("t1"."area") FROM "locations" AS "t1" ORDER BY "t1"."id" LIMIT 2001
--   rows: list of up to 2000 {id: 0 integer, name: 1 text, point: 2 json, area: 3 json}
