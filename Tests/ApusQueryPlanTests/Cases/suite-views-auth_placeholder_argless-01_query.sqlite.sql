-- pg_store.products_for_current_user (pg_store, sqlite)
SELECT "t1"."id", "t1"."name", "t1"."category_id" FROM (SELECT id, name, category_id FROM products WHERE category_id = $1) AS "t1" ORDER BY "t1"."id" LIMIT 2001
--   $1 = 2 (auth.user_id_int)
--   rows: list of up to 2000 {id: 0 integer, name: 1 text, category_id: 2 integer}
