-- h3.data.places (pg_store, postgres)
SELECT encode(substr(sha256(ST_AsEWKB("g")), 1, 12), 'base64'), encode(ST_AsBinary(ST_Simplify(ST_Buffer((ST_SetSRID(ST_Force2D(ST_CurveToLine(ST_Transform(ST_SetSRID("g", $1::integer), 4326))), 4326))::geography, $2::double precision)::geometry, $3::double precision, true)), 'hex') FROM (SELECT DISTINCT ("t1"."area")::geometry AS "g" FROM "locations" AS "t1") AS "d" WHERE "g" IS NOT NULL
--   $1 = 3857
--   $2 = 25.5
--   $3 = 0.0012648163336330934
--   rows: geometries, each with its cells of resolution 7
    -- batch 0 (pg_store, postgres)
    SELECT "k"."n", count(*), round(sum(("t1"."id")::numeric / "k"."parts"))::bigint, (avg(("t1"."id")::numeric / "k"."parts"))::double precision, count("t1"."id"), sum((ST_Area("t1"."area")) / "k"."parts") FROM ROWS FROM (unnest($1::text[]), unnest($2::bigint[]), unnest($3::bigint[])) AS "k"("geometry", "n", "parts") JOIN "locations" AS "t1" ON encode(substr(sha256(ST_AsEWKB(("t1"."area")::geometry)), 1, 12), 'base64') = "k"."geometry" GROUP BY "k"."n"
    --   $1 = keys, column 0
    --   $2 = keys, column 1
    --   $3 = keys, column 2
    --   rows: by key number 0: one {_rows_count: 1 count, id: {sum: 2 integer, avg: 3 number, count: 4 count}, _area_measurement: {sum: 5 number}}

-- h3.data.named (pg_store, postgres)
SELECT encode(substr(sha256(ST_AsEWKB("g")), 1, 12), 'base64'), encode(ST_AsBinary(ST_Force2D(ST_CurveToLine("g"))), 'hex') FROM (SELECT DISTINCT ("t1"."point")::geometry AS "g" FROM (SELECT "t1".* FROM "locations" AS "t1" WHERE "t1"."name" LIKE $1 ORDER BY "t1"."name", "t1"."id" LIMIT $2::bigint) AS "t1") AS "d" WHERE "g" IS NOT NULL
--   $1 = "a%"
--   $2 = 10
--   rows: geometries, each with its cells of resolution 7
    -- batch 0 (pg_store, postgres)
    SELECT "t1"."name", "t1"."#key0" FROM (SELECT * FROM (SELECT "t1".*, "k"."n" AS "#key0", row_number() OVER (PARTITION BY "k"."n" ORDER BY "t1"."name") AS "#number" FROM ROWS FROM (unnest($1::text[]), unnest($2::bigint[]), unnest($3::bigint[])) AS "k"("geometry", "n", "parts") JOIN (SELECT "t1".* FROM "locations" AS "t1" WHERE "t1"."name" LIKE $4 ORDER BY "t1"."name", "t1"."id" LIMIT $5::bigint) AS "t1" ON encode(substr(sha256(ST_AsEWKB(("t1"."point")::geometry)), 1, 12), 'base64') = "k"."geometry") AS "t1" WHERE "#number" <= 0 + $6::bigint) AS "t1" ORDER BY "t1"."#key0", "t1"."name"
    --   $1 = keys, column 0
    --   $2 = keys, column 1
    --   $3 = keys, column 2
    --   $4 = "a%"
    --   $5 = 10
    --   $6 = 3
    --   rows: by key number 1: list of {name: 0 text}

-- h3.data.pg_store_locations_bucket_aggregation (pg_store, postgres)
SELECT encode(substr(sha256(ST_AsEWKB("g")), 1, 12), 'base64'), encode(ST_AsBinary(ST_Simplify(ST_Force2D(ST_CurveToLine("g")), $1::double precision, true)), 'hex') FROM (SELECT DISTINCT ("t1"."point")::geometry AS "g" FROM "locations" AS "t1" WHERE "t1"."id" > $2) AS "d" WHERE "g" IS NOT NULL
--   $1 = 0.0012648163336330934
--   $2 = 1
--   rows: geometries, each with its cells of resolution 7
    -- batch 0 (pg_store, postgres)
    SELECT "k"."n", "t1"."name", count(*) FROM ROWS FROM (unnest($1::text[]), unnest($2::bigint[]), unnest($3::bigint[])) AS "k"("geometry", "n", "parts") JOIN "locations" AS "t1" ON encode(substr(sha256(ST_AsEWKB(("t1"."point")::geometry)), 1, 12), 'base64') = "k"."geometry" WHERE "t1"."id" > $4 GROUP BY 1, 2 ORDER BY 1
    --   $1 = keys, column 0
    --   $2 = keys, column 1
    --   $3 = keys, column 2
    --   $4 = 1
    --   rows: by key number 0: list of {key: {name: 1 text}, aggregations: {_rows_count: 2 count}}
