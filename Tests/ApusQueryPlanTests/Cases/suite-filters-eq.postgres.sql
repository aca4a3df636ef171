-- pg_store.products (pg_store, postgres)
SELECT "t1"."id", "t1"."name", "t1"."price" FROM "products" AS "t1" WHERE "t1"."name" = $1 LIMIT 2001
--   $1 = "Laptop Pro"
--   rows: list of up to 2000 {id: 0 integer, name: 1 text, price: 2 number}
