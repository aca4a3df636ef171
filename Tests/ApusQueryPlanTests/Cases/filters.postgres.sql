-- pg_store.logic (pg_store, postgres)
SELECT "t1"."id" FROM "products" AS "t1" WHERE "t1"."is_active" = $1 AND ("t1"."price" <= $2 OR "t1"."price" >= $3) AND NOT ("t1"."name" LIKE $4) LIMIT 2001
--   $1 = true
--   $2 = 30
--   $3 = 2000
--   $4 = "Old%"
--   rows: list of up to 2000 {id: 0 integer}

-- pg_store.nothing (pg_store, postgres)
SELECT "t1"."id" FROM "products" AS "t1" LIMIT 2001
--   rows: list of up to 2000 {id: 0 integer}

-- pg_store.none (pg_store, postgres)
SELECT "t1"."id" FROM "products" AS "t1" WHERE "t1"."id" = ANY($1) LIMIT 2001
--   $1 = list []
--   rows: list of up to 2000 {id: 0 integer}

-- pg_store.all (pg_store, postgres)
SELECT "t1"."id" FROM "categories" AS "t1" WHERE NOT EXISTS (SELECT 1 FROM "products" AS "r1" WHERE "t1"."id" = "r1"."category_id" AND ("r1"."price" > $1) IS NOT TRUE) AND EXISTS (SELECT 1 FROM "products" AS "r2" WHERE "t1"."id" = "r2"."category_id") LIMIT 2001
--   $1 = 40
--   rows: list of up to 2000 {id: 0 integer}

-- pg_store.none_of (pg_store, postgres)
SELECT "t1"."id" FROM "categories" AS "t1" WHERE NOT EXISTS (SELECT 1 FROM "products" AS "r3" WHERE "t1"."id" = "r3"."category_id" AND "r3"."price" > $1) LIMIT 2001
--   $1 = 2000
--   rows: list of up to 2000 {id: 0 integer}

-- pg_store.through (pg_store, postgres)
SELECT "t1"."id" FROM "products" AS "t1" WHERE EXISTS (SELECT 1 FROM "categories" AS "r4" WHERE "t1"."category_id" = "r4"."id" AND EXISTS (SELECT 1 FROM "categories" AS "r5" WHERE "r4"."parent_id" = "r5"."id" AND "r5"."name" ILIKE $1)) AND EXISTS (SELECT 1 FROM "product_tags" AS "r7" JOIN "tags" AS "r6" ON "r7"."tag_id" = "r6"."id" WHERE "t1"."id" = "r7"."product_id" AND "r6"."name" = $2) LIMIT 2001
--   $1 = "elec%"
--   $2 = "new"
--   rows: list of up to 2000 {id: 0 integer}

-- pg_store.json (pg_store, postgres)
SELECT "t1"."id" FROM "products" AS "t1" WHERE jsonb_exists(("t1"."tags")::jsonb, $1::text) AND ("t1"."tags")::jsonb @> $2::jsonb LIMIT 2001
--   $1 = "rgb"
--   $2 = "{\"color\":\"black\"}"
--   rows: list of up to 2000 {id: 0 integer}

-- pg_store.structs (pg_store, postgres)
SELECT "t1"."product_id" FROM "product_details" AS "t1" WHERE ("t1"."specs")::jsonb #>> $1::text[] = $2 AND (("t1"."specs")::jsonb #>> $3::text[])::integer >= $4 LIMIT 2001
--   $1 = list ["\"cpu\""]
--   $2 = "M2"
--   $3 = list ["\"ram_gb\""]
--   $4 = 8
--   rows: list of up to 2000 {product_id: 0 integer}

-- pg_store.ranges (pg_store, postgres)
SELECT "t1"."id" FROM "price_ranges" AS "t1" WHERE "t1"."valid_price" @> $1::int4range AND lower("t1"."valid_price") = $2::integer AND upper_inf("t1"."valid_price") = $3 LIMIT 2001
--   $1 = "[1000,1100)"
--   $2 = 1000
--   $3 = false
--   rows: list of up to 2000 {id: 0 integer}
