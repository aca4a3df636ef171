-- pg_store.by_contains (pg_store, postgres)
SELECT "t1"."id", "t1"."product_id", "t1"."valid_price" FROM "price_ranges" AS "t1" WHERE "t1"."valid_price" @> $1::integer LIMIT 2001
--   $1 = 1200
--   rows: list of up to 2000 {id: 0 integer, product_id: 1 integer, valid_price: 2 text}

-- pg_store.by_intersects (pg_store, postgres)
SELECT "t1"."id", "t1"."product_id", "t1"."valid_price" FROM "price_ranges" AS "t1" WHERE "t1"."valid_price" && $1::int4range LIMIT 2001
--   $1 = "[1000, 2500)"
--   rows: list of up to 2000 {id: 0 integer, product_id: 1 integer, valid_price: 2 text}
