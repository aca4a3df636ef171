-- pg_store.products (pg_store, postgres)
SELECT "t1"."id", "t1"."name", "t1"."price", "t1"."quantity", "t1"."is_active" FROM "products" AS "t1" WHERE "t1"."id" = $1 LIMIT 2001
--   $1 = 1
--   rows: list of up to 2000 {id: 0 integer, name: 1 text, price: 2 number, quantity: 3 integer, is_active: 4 boolean}
