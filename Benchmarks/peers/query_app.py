"""The shop of `make bench-query` as a Python team would serve it: strawberry-graphql and asyncpg behind uvicorn.

Parsed and validated operations are kept; asyncpg keeps statements prepared; orjson writes the replies. Each root field is one statement, and
lines with their products come by a DataLoader: one statement for all orders of a reply.
"""

import os
from contextlib import asynccontextmanager
from datetime import datetime

import asyncpg
import orjson
import strawberry
from starlette.applications import Starlette
from strawberry.asgi import GraphQL
from strawberry.dataloader import DataLoader
from strawberry.extensions import ParserCache, ValidationCache
from strawberry.schema.config import StrawberryConfig

ORDER = "id, customer_id, placed, status, total::float8 AS total, note"
pool: asyncpg.Pool


@strawberry.type
class Product:
    id: int
    name: str
    price: float


@strawberry.type
class Line:
    id: int
    quantity: int
    product: Product


@strawberry.type
class Order:
    id: int
    customer_id: int
    placed: datetime
    status: str
    total: float
    note: str | None

    @strawberry.field
    async def lines(self, info: strawberry.Info) -> list[Line]:
        return await info.context["lines"].load(self.id)


@strawberry.type
class StatusTotal:
    status: str
    count: int
    total: float


async def lines_of(orders: list[int]) -> list[list[Line]]:
    rows = await pool.fetch(
        "SELECT l.order_id, l.id, l.quantity, p.id AS product, p.name, p.price::float8 AS price FROM order_lines l"
        " JOIN products p ON p.id = l.product_id WHERE l.order_id = ANY($1) ORDER BY l.id",
        orders,
    )
    found: dict[int, list[Line]] = {order: [] for order in orders}
    for order, line, quantity, product, name, price in rows:
        found[order].append(Line(id=line, quantity=quantity, product=Product(id=product, name=name, price=price)))
    return [found[order] for order in orders]


@strawberry.type
class Query:
    @strawberry.field
    async def order(self, id: int) -> Order | None:
        row = await pool.fetchrow(f"SELECT {ORDER} FROM orders WHERE id = $1", id)
        return Order(**row) if row else None

    @strawberry.field
    async def orders(self, after: int, first: int) -> list[Order]:
        rows = await pool.fetch(f"SELECT {ORDER} FROM orders WHERE id > $1 ORDER BY id LIMIT $2", after, first)
        return [Order(**row) for row in rows]

    @strawberry.field
    async def orders_of(self, customer: int, quantity_above: int) -> list[Order]:
        rows = await pool.fetch(
            f"SELECT {ORDER} FROM orders o WHERE customer_id = $1 AND EXISTS"
            " (SELECT 1 FROM order_lines l WHERE l.order_id = o.id AND l.quantity > $2) ORDER BY id",
            customer,
            quantity_above,
        )
        return [Order(**row) for row in rows]

    @strawberry.field
    async def totals(self, customers_above: int, statuses: list[str]) -> list[StatusTotal]:
        rows = await pool.fetch(
            "SELECT status, count(*) AS count, sum(total)::float8 AS total FROM orders"
            " WHERE customer_id > $1 AND status = ANY($2) GROUP BY status",
            customers_above,
            statuses,
        )
        return [StatusTotal(**row) for row in rows]


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def set_status(self, id: int, status: str) -> int:
        done = await pool.execute("UPDATE orders SET status = $2 WHERE id = $1", id, status)
        return int(done.split()[-1])


class Endpoint(GraphQL):
    async def get_context(self, request, response):
        return {"lines": DataLoader(load_fn=lines_of)}

    def encode_json(self, data):
        return orjson.dumps(data)


@asynccontextmanager
async def lifespan(app):
    global pool
    pool = await asyncpg.create_pool(os.environ["SHOP"], min_size=8, max_size=16)
    yield
    await pool.close()


schema = strawberry.Schema(
    Query, Mutation, config=StrawberryConfig(auto_camel_case=False), extensions=[ParserCache, ValidationCache]
)
app = Starlette(lifespan=lifespan)
app.mount("/graphql", Endpoint(schema, graphql_ide=None))
