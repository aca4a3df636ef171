"""Subscriptions to what a Redis publishes: over graphql-transport-ws, and over /ipc with the unmodified client.

    events.py URL KEY REDIS_PORT

The node has the store `kv` on that server, in database 2, and the roles clerk, who may subscribe to channels, and stranger. The last case
ends the server. Prints `PASS name` or `FAIL name: why` for each case.
"""
import asyncio
import json
import subprocess
import sys
import urllib.request

import websockets
from hugr.stream import HugrStreamingClient

import cases

URL, KEY, PORT = sys.argv[1:4]
NEWS = 'subscription { core { store { subscribe(store: "kv", channel: "CHANNEL") { channel text: message } } } }'


def redis(*arguments):
    done = subprocess.run(["redis-cli", "-p", PORT, *arguments], capture_output=True, text=True, timeout=20)
    return done.stdout.strip()


def connections():
    return sum("addr=" in line for line in redis("CLIENT", "LIST", "TYPE", "pubsub").splitlines())


def ask(query):
    headers = {"X-API-Key": KEY, "Content-Type": "application/json"}
    request = urllib.request.Request(URL + "/query", json.dumps({"query": query}).encode(), headers)
    reply = json.load(urllib.request.urlopen(request, timeout=20))
    assert "errors" not in reply, reply
    return reply["data"]


class Socket:
    def __init__(self, key=KEY, **options):
        self.key, self.options = key, options

    async def __aenter__(self):
        url = URL.replace("http", "ws") + "/subscribe"
        self.ws = await websockets.connect(
            url, subprotocols=["graphql-transport-ws"], additional_headers={"X-Forwarded-For": "192.0.2.1"}, **self.options)
        await self.say(type="connection_init", payload={"X-Hugr-Api-Key": self.key})
        assert await self.hear() == {"type": "connection_ack"}
        return self

    async def __aexit__(self, *_):
        await self.ws.close()

    async def say(self, **message):
        await self.ws.send(json.dumps(message))

    async def hear(self):
        return json.loads(await asyncio.wait_for(self.ws.recv(), 20))

    async def subscribe(self, text, id="1"):
        await self.say(id=id, type="subscribe", payload={"query": text})


async def until(what, condition):
    for _ in range(400):
        if condition():
            return
        await asyncio.sleep(0.05)
    raise AssertionError(what)


async def heard(channel, many=1):
    await until("the channel is listened to", lambda: redis("PUBSUB", "NUMSUB", channel).split()[-1] == str(many))


def next_of(id, field, **event):
    return {"id": id, "type": "next", "payload": {"data": {"core": {"store": {field: event}}}}}


async def channel():
    async with Socket() as one, Socket() as other:
        await one.subscribe(NEWS.replace("CHANNEL", "news"))
        await one.subscribe(NEWS.replace("CHANNEL", "other"), id="2")
        await other.subscribe(NEWS.replace("CHANNEL", "news"))
        await heard("news"), await heard("other")
        assert connections() == 1
        # Who shares a channel may be told of it later than the server.
        published = 0
        while published < 2:
            published += 1
            redis("PUBLISH", "news", f'ä "{published}"')
            assert await one.hear() == next_of("1", "subscribe", channel="news", text=f'ä "{published}"')
            assert await other.hear() == next_of("1", "subscribe", channel="news", text=f'ä "{published}"')
        redis("PUBLISH", "other", "")
        assert await one.hear() == next_of("2", "subscribe", channel="other", text="")
        await one.say(id="2", type="complete")
        await heard("other", 0)
        await one.say(id="1", type="complete")
        redis("PUBLISH", "news", "more")
        assert (await other.hear())["type"] == "next"
    await until("nobody listens", lambda: connections() == 0)


async def keys():
    async with Socket() as ws:
        watch = 'subscription { core { store { watch(store: "kv", pattern: "PATTERN") { key event } } } }'
        await ws.subscribe(watch.replace("PATTERN", "user:*"))
        silent = await ws.hear()
        assert silent["type"] == "error" and "configure_keyspace_events" in silent["payload"][0]["message"], silent
        done = ask('mutation { function { core { store { configure_keyspace_events(store: "kv") { success } } } } }')
        assert done["function"]["core"]["store"]["configure_keyspace_events"]["success"] is True
        await ws.subscribe(watch.replace("PATTERN", "user:*"))
        await ws.subscribe(watch.replace("PATTERN", "__keyevent@2__:del"), id="2")
        await until("both are watched", lambda: redis("PUBSUB", "NUMPAT") == "2")
        redis("-n", "0", "SET", "user:0", "in another database")
        redis("-n", "2", "SET", "user:1:a", "x")
        assert await ws.hear() == next_of("1", "watch", key="user:1:a", event="set")
        redis("-n", "2", "DEL", "user:1:a")
        both = sorted([await ws.hear(), await ws.hear()], key=lambda message: message["id"])
        assert both == [next_of(id, "watch", key="user:1:a", event="del") for id in ["1", "2"]], both


async def tables():
    async with HugrStreamingClient(URL + "/ipc", api_key=KEY) as client:
        subscription = await client.subscribe(NEWS.replace("CHANNEL", "tables"))
        await heard("tables")
        for number in range(3):
            redis("PUBLISH", "tables", f"m{number}")
        rows = []
        async for event in subscription.events():
            assert event.path == "core.store.subscribe", event.path
            async for batch in event.chunks():
                rows += batch.to_pylist()
                if len(rows) == 3:
                    break
            break
        assert rows == [{"channel": "tables", "text": f"m{number}"} for number in range(3)], rows
        await subscription.cancel()
    await heard("tables", 0)


async def closed_to_others():
    news = NEWS.replace("CHANNEL", "secret")
    async with Socket("stranger-0123456789") as ws:
        await ws.subscribe(news)
        message = await ws.hear()
        assert message["type"] == "error" and message["payload"][0]["message"] == "forbidden", message
    async with Socket("clerk-0123456789") as ws:
        await ws.subscribe('subscription { core { store { watch(store: "kv", pattern: "*") { key } } } }', id="2")
        message = await ws.hear()
        assert message["type"] == "error" and message["payload"][0]["message"] == "forbidden", message
        await ws.subscribe(news)
        await heard("secret")
        redis("PUBLISH", "secret", "1")
        assert await ws.hear() == next_of("1", "subscribe", channel="secret", text="1")
        ask('mutation { core { update_role_permissions(filter: {role: {eq: "clerk"}}, data: {disabled: true}) { success } } }')
        redis("PUBLISH", "secret", "2")
        message = await ws.hear()
        assert message["type"] == "error" and message["payload"][0]["message"] == "forbidden", message
    await heard("secret", 0)


async def wrong():
    async with Socket() as ws:
        for text, why in [
            ('subscription { core { store { subscribe(store: "none", channel: "c") { channel } } } }', 'no store "none"'),
            ('subscription { core { store { a: subscribe(store: "kv", channel: "a") { channel } b: subscribe(store: "kv", channel: "b") { channel } } } }', "that one field"),
            ('subscription { core { store { subscribe(store: "kv") { channel } } } }', "channel"),
        ]:
            await ws.subscribe(text)
            message = await ws.hear()
            assert message["type"] == "error" and why in message["payload"][0]["message"], message


async def slow():
    async with Socket(max_queue=1) as ws:
        await ws.subscribe(NEWS.replace("CHANNEL", "flood"))
        await heard("flood")
        # Nothing is read until the node has given up: what waits in sockets is a part of it.
        piece = "x" * 100_000
        for _ in range(1_000):
            if redis("PUBLISH", "flood", piece) == "0":
                break
        else:
            raise AssertionError("it was never given up")
        message = {"type": "next"}
        while message["type"] == "next":
            message = await ws.hear()
        assert message["type"] == "error" and message["payload"][0]["extensions"]["code"] == "client.slow", message


async def killed():
    async with Socket() as ws, HugrStreamingClient(URL + "/ipc", api_key=KEY) as client:
        await ws.subscribe(NEWS.replace("CHANNEL", "last"))
        subscription = await client.subscribe(NEWS.replace("CHANNEL", "last"))
        await heard("last")
        redis("PUBLISH", "last", "word")
        assert (await ws.hear())["type"] == "next"
        redis("SHUTDOWN", "NOSAVE")
        message = await ws.hear()
        assert message["type"] == "error" and "subscribe again" in message["payload"][0]["message"], message
        async for event in subscription.events():
            async for _ in event.chunks():
                pass
        assert "subscribe again" in subscription._error, subscription._error
        await ws.subscribe(NEWS.replace("CHANNEL", "last"))
        message = await ws.hear()
        assert message["type"] == "error" and message["payload"][0]["extensions"]["code"] == "source.unavailable", message


cases.run([channel, keys, tables, closed_to_others, wrong, slow, killed], seconds=90)
