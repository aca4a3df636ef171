"""The protocol graphql-transport-ws at /subscribe, asked by a plain WebSocket client.

    transport.py URL KEY

All of it as through a proxy, from which the node takes nobody without a key. Prints `PASS name` or `FAIL name: why` for each case.
"""
import asyncio
import json
import sys

import websockets

import cases

URL, KEY = sys.argv[1].replace("http", "ws") + "/subscribe", sys.argv[2]


def connect(**options):
    options.setdefault("subprotocols", ["graphql-transport-ws"])
    options["additional_headers"] = {"X-Forwarded-For": "192.0.2.1", **options.get("additional_headers", {})}
    return websockets.connect(URL, open_timeout=10, close_timeout=10, **options)


async def say(ws, **message):
    await ws.send(json.dumps(message))


async def hear(ws):
    return json.loads(await asyncio.wait_for(ws.recv(), 20))


async def ready(ws, payload={"X-Hugr-Api-Key": KEY}):
    await say(ws, type="connection_init", payload=payload)
    assert await hear(ws) == {"type": "connection_ack"}


async def subscribe(ws, text, id="1", **payload):
    await say(ws, id=id, type="subscribe", payload={"query": text, **payload})


async def closed(ws, code):
    try:
        while True:
            await hear(ws)
    except websockets.exceptions.ConnectionClosed as error:
        assert error.rcvd and error.rcvd.code == code, error
        return
    raise AssertionError("it was not closed")


async def query():
    async with connect() as ws:
        await ready(ws)
        await subscribe(ws, "query($n: Int) { t(limit: $n) { id } }", variables={"n": 1})
        assert await hear(ws) == {"id": "1", "type": "next", "payload": {"data": {"t": [{"id": 1}]}}}
        assert await hear(ws) == {"id": "1", "type": "complete"}
        await say(ws, type="ping")
        assert await hear(ws) == {"type": "pong"}


async def key_in_the_request():
    async with connect(additional_headers={"X-API-Key": KEY}) as ws:
        await ready(ws, None)
        await subscribe(ws, "{ t_aggregation { _rows_count } }")
        assert (await hear(ws))["payload"] == {"data": {"t_aggregation": {"_rows_count": 3}}}


async def mutation():
    async with connect() as ws:
        await ready(ws)
        await subscribe(ws, 'mutation { insert_t2(data: {name: "over a socket"}) { name } }')
        assert (await hear(ws))["payload"] == {"data": {"insert_t2": {"name": "over a socket"}}}


async def subscription():
    async with connect() as ws:
        await ready(ws)
        await subscribe(ws, 'subscription { query(interval: "100ms", count: 2) { t_by_pk(id: 1) { name } } }')
        for _ in range(2):
            assert await hear(ws) == {"id": "1", "type": "next", "payload": {"data": {"query": {"t_by_pk": {"name": "a"}}}}}
        assert await hear(ws) == {"id": "1", "type": "complete"}


async def completed_by_the_client():
    async with connect() as ws:
        await ready(ws)
        await subscribe(ws, 'subscription { query(interval: "100ms") { t { id } } }')
        assert (await hear(ws))["type"] == "next"
        await say(ws, id="1", type="complete")
        await subscribe(ws, "{ t_by_pk(id: 1) { id } }", id="2")
        while (message := await hear(ws))["id"] == "1":
            assert message["type"] == "next"
        assert message["payload"] == {"data": {"t_by_pk": {"id": 1}}}
        assert (await hear(ws)) == {"id": "2", "type": "complete"}


async def invalid():
    async with connect() as ws:
        await ready(ws)
        for text in ["{ nope }", "{ t {", 'subscription { query(interval: "1ms") { t { id } } }', "subscription { nope }"]:
            await subscribe(ws, text)
            message = await hear(ws)
            assert message["type"] == "error" and message["id"] == "1" and message["payload"][0]["message"], message


async def bounded():
    async with connect() as ws:
        await ready(ws)
        for number in range(11):
            await subscribe(ws, 'subscription { query(interval: "10s") { t { id } } }', id=str(number))
        while (message := await hear(ws))["type"] != "error":
            pass
        assert message["id"] == "10", message


async def same_id():
    async with connect() as ws:
        await ready(ws)
        for _ in range(2):
            await subscribe(ws, 'subscription { query(interval: "10s") { t { id } } }')
        await closed(ws, 4409)


async def before_the_acknowledgement():
    async with connect() as ws:
        await subscribe(ws, "{ t { id } }")
        await closed(ws, 4401)


async def twice_initialised():
    async with connect() as ws:
        await ready(ws)
        await say(ws, type="connection_init")
        await closed(ws, 4429)


async def never_initialised():
    async with connect() as ws:
        await closed(ws, 4408)


async def wrong_key():
    for payload in [{"X-Hugr-Api-Key": "wrong"}, {"Authorization": "Bearer wrong"}, None]:
        async with connect() as ws:
            await say(ws, type="connection_init", payload=payload)
            await closed(ws, 4403)


async def no_message():
    for text in ["[]", "no JSON", '{"type": "nothing"}', '{"no": "type"}']:
        async with connect() as ws:
            await ready(ws)
            await ws.send(text)
            await closed(ws, 4400)


async def refused_handshakes():
    for options, status in [({"subprotocols": ["graphql-ws"]}, 400), ({"subprotocols": None}, 400), ({"origin": "http://other.example"}, 403)]:
        try:
            async with connect(**options):
                raise AssertionError(f"{options} was taken")
        except websockets.exceptions.InvalidStatus as error:
            assert error.response.status_code == status, (options, error)


cases.run(
    [query, key_in_the_request, mutation, subscription, completed_by_the_client, invalid, bounded, same_id, before_the_acknowledgement,
     twice_initialised, never_initialised, wrong_key, no_message, refused_handshakes], seconds=30)
