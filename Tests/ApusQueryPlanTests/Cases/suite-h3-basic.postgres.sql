-- h3.data.pg_store_locations_aggregation (pg_store, postgres)
SELECT encode(substr(sha256(ST_AsEWKB("g")), 1, 12), 'base64'), encode(ST_AsBinary(ST_Simplify(ST_Force2D(ST_CurveToLine("g")), $1::double precision, true)), 'hex') FROM (SELECT DISTINCT ("t1"."point")::geometry AS "g" FROM "locations" AS "t1") AS "d" WHERE "g" IS NOT NULL
--   $1 = 0.023445827050359712
--   rows: geometries, each with its cells of resolution 4
    -- batch 0 (pg_store, postgres)
    SELECT "k"."n", count(*) FROM ROWS FROM (unnest($1::text[]), unnest($2::bigint[]), unnest($3::bigint[])) AS "k"("geometry", "n", "parts") JOIN "locations" AS "t1" ON encode(substr(sha256(ST_AsEWKB(("t1"."point")::geometry)), 1, 12), 'base64') = "k"."geometry" GROUP BY "k"."n"
    --   $1 = keys, column 0
    --   $2 = keys, column 1
    --   $3 = keys, column 2
    --   rows: by key number 0: one {_rows_count: 1 count}
