-- pg_store.active_products (pg_store, postgres)
SELECT "t1"."id", "t1"."name", "t1"."price", "t1"."quantity" FROM (SELECT id, name, price, quantity FROM products WHERE is_active = true) AS "t1" ORDER BY "t1"."id" LIMIT 2001
--   rows: list of up to 2000 {id: 0 integer, name: 1 text, price: 2 number, quantity: 3 integer}
