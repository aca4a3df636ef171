"""Drives a node through the unmodified package `rpc` of vectorizer_sdk, as the tests of `VectorizerRPCTests` tell it to.

    suite.py calls URL            every wrapper, of the synchronous and of the asynchronous client
    suite.py load URL             pools, and many calls in flight
    suite.py keys URL KEY READER  a node on which nobody does without a key
    suite.py rotation COUNT KEY URL...   writes through one node and reads through the next, COUNT times
    suite.py restart URL DIR      writes until DIR/stop is there, then waits for DIR/restarted and reads back what was acknowledged

Prints one JSON object. An assertion that fails ends it with its traceback.
"""

import asyncio
import json
import math
import os
import random
import struct
import sys
import threading
import time

import rpc
import rpc.commands
from rpc import AsyncRpcClient, AsyncRpcPool, HelloPayload, RpcClient, RpcPool, RpcPoolConfig
from rpc import RpcConnectionClosed, RpcNotAuthenticated, RpcServerError
from rpc.types import VectorizerValue as V

TRANSPORT = {"hello", "ping", "call", "close", "connect", "connect_url", "is_authenticated"}


def wrappers(client):
    return {name for name in dir(client) if not name.startswith("_")} - TRANSPORT


def value(thing):
    """A Python value as the protocol's."""
    if thing is None:
        return V.null()
    if isinstance(thing, bool):
        return V.bool_(thing)
    if isinstance(thing, int):
        return V.int_(thing)
    if isinstance(thing, float):
        return V.float_(thing)
    if isinstance(thing, str):
        return V.str_(thing)
    if isinstance(thing, dict):
        return V.map([(V.str_(key), value(item)) for key, item in thing.items()])
    return V.array([value(item) for item in thing])


def plain(thing):
    """The protocol's value as a Python one."""
    if thing.kind == "array":
        return [plain(item) for item in thing.value]
    if thing.kind == "map":
        return {key.as_str(): plain(item) for key, item in thing.value}
    return thing.value


def f32(number):
    return struct.unpack("<f", struct.pack("<f", number))[0]


def cosine(left, right):
    dot = sum(a * b for a, b in zip(left, right))
    return dot / math.sqrt(sum(a * a for a in left) * sum(b * b for b in right))


class Sync:
    def __init__(self, url, payload=None):
        self.client = RpcClient.connect_url(url)
        if payload:
            self.client.hello(payload)

    def do(self, name, *arguments):
        return getattr(self.client, name)(*arguments)

    def close(self):
        self.client.close()


class Async:
    """The asynchronous client, one call after the other."""

    def __init__(self, url, payload=None):
        self.loop = asyncio.new_event_loop()
        self.client = self.loop.run_until_complete(AsyncRpcClient.connect_url(url))
        if payload:
            self.loop.run_until_complete(self.client.hello(payload))

    def do(self, name, *arguments):
        return self.loop.run_until_complete(getattr(self.client, name)(*arguments))

    def close(self):
        self.loop.run_until_complete(self.client.close())
        self.loop.close()


class Suite:
    """Every wrapper against one client. `passed` and `unsupported` say what became of each."""

    def __init__(self, client, suffix):
        self.client = client
        self.points = "points-" + suffix
        self.other = "other-" + suffix
        self.texts = "texts-" + suffix
        self.passed = set()
        self.unsupported = {}

    def do(self, name, *arguments):
        result = self.client.do(name, *arguments)
        self.passed.add(name)
        return result

    def fails(self, text, name, *arguments):
        try:
            self.client.do(name, *arguments)
        except RpcServerError as error:
            assert text in str(error), str(error)
            assert str(error).startswith("["), str(error)
        else:
            raise AssertionError(f"{name} did not fail")

    def run(self):
        assert self.client.do("ping") == "PONG"
        hello = self.client.do("hello", HelloPayload(client_name="suite"))
        assert hello.protocol_version == 1 and hello.admin and hello.authenticated and hello.server_version
        assert "search.explain" in hello.capabilities
        self.collections()
        self.single_points()
        self.batches()
        self.filters()
        self.searches()
        self.text()
        self.administration()
        self.the_rest()
        for name in [self.points, self.other, self.texts]:
            assert self.do("delete_collection", name) is True
        left = wrappers(self.client.client) - self.passed - set(self.unsupported)
        assert not left, f"not tried: {sorted(left)}"

    def collections(self):
        for name, metric in [(self.points, "euclidean"), (self.other, "cosine")]:
            made = self.do("create_collection", name, value({"dimension": 8, "metric": metric}))
            assert (made.name, made.dimension, made.metric, made.success) == (name, 8, metric, True)
        self.fails("already exists", "create_collection", self.points, value({"dimension": 8, "metric": "cosine"}))
        assert {self.points, self.other} <= set(self.do("list_collections"))
        assert {self.points, self.other} <= set(self.do("list_empty_collections"))
        info = self.do("get_collection_info", self.points)
        assert (info.name, info.dimension, info.metric, info.vector_count, info.document_count) == (self.points, 8, "euclidean", 0, 0)
        assert info.created_at and info.updated_at
        self.fails("[collection_not_found]", "get_collection_info", "nowhere")
        assert self.do("force_save_collection", self.points) is True

        empty = self.points + "-empty"
        self.do("create_collection", empty, value({"dimension": 2, "metric": "dot"}))
        self.do("insert_vector", self.points, "keep", [0.0] * 8)
        self.do("insert_vector", self.other, "keep", [1.0] * 8)
        trial = self.do("cleanup_empty_collections", True)
        assert trial.removed == 1 and trial.dry_run is True, trial
        assert empty in self.do("list_collections")
        done = self.do("cleanup_empty_collections", False)
        assert done.removed == 1 and done.dry_run is False
        assert empty not in self.do("list_collections") and self.points in self.do("list_collections")

    def single_points(self):
        generator = random.Random(7)
        self.written = {"keep": ([0.0] * 8, None)}
        for number in range(20):
            vector = [generator.uniform(-1, 1) for _ in range(8)]
            payload = {"n": number, "even": number % 2 == 0, "text": "ü\n\"'\U0001f426"}
            form = V.str_(json.dumps(payload)) if number % 2 else value(payload)
            written = self.do("insert_vector", self.points, f"p{number}", vector, form)
            assert (written.id, written.success) == (f"p{number}", True)
            self.written[f"p{number}"] = (vector, payload)
        unnamed = self.do("insert_vector", self.points, None, [9.0] * 8)
        assert len(unnamed.id) == 36 and self.do("delete_vector_rpc", self.points, unnamed.id) is True
        self.fails("[vector_not_found]", "delete_vector_rpc", self.points, unnamed.id)
        self.fails("[vector_not_found]", "get_vector", self.points, unnamed.id)
        self.check(self.points, self.written)

        vector = [1.5] * 8
        assert self.do("update_vector", self.points, "p3", vector, V.str_('{"n": 33}')).id == "p3"
        self.written["p3"] = (vector, {"n": 33})
        assert self.do("update_vector", self.points, "p4", vector).success
        self.written["p4"] = (vector, self.written["p4"][1])
        self.fails("Vector not found: nobody", "update_vector", self.points, "nobody", vector)
        self.check(self.points, self.written)

        for wrong, text in [
            ([1.0] * 7, "embedding length 7 does not match collection dimension 8"),
            ([1.0] * 5 + [float("nan"), 1.0, 1.0], "data[5] is not a finite number"),
            ([1.0] * 5 + [1e39, 1.0, 1.0], "data[5] is too large for a float of 32 bits"),
        ]:
            self.fails(text, "insert_vector", self.points, "wrong", wrong)
        self.fails("Invalid payload", "insert_vector", self.points, "wrong", [1.0] * 8, V.str_("no object"))
        self.fails("Invalid id", "insert_vector", self.points, "a#b", [1.0] * 8)

        listed = {}
        for page in range(20):
            result = self.do("list_vectors", self.points, page, 6)
            assert (result.total, result.page, result.limit) == (len(self.written), page, 6)
            listed.update({item["id"]: item for item in map(plain, result.items)})
            if len(result.items) < 6:
                break
        assert set(listed) == set(self.written)
        assert self.do("list_vectors", self.points, 0, 5000).limit == 50

    def check(self, collection, written):
        for name, (vector, payload) in written.items():
            point = plain(self.do("get_vector", collection, name))
            assert point["id"] == name
            assert point["data"] == [f32(number) for number in vector], name
            found = point["payload"] and json.loads(point["payload"])
            assert found == payload, (name, found)
        assert self.do("get_collection_info", collection).vector_count == len(written)

    def batches(self):
        items = [{"id": f"b{number}", "data": [float(number)] * 8, "payload": json.dumps({"n": 100 + number})} for number in range(30)]
        result = self.do("batch_insert_vectors", self.points, [value(item) for item in items] + [value({"id": "bad", "data": [1.0]})])
        assert (result.inserted, result.failed) == (30, 1)
        assert [item.status for item in result.results] == ["ok"] * 30 + ["error"]
        assert result.results[30].index == 30 and "embedding length 1" in result.results[30].error
        self.written.update({item["id"]: (item["data"], json.loads(item["payload"])) for item in items})

        updates = [{"id": "b1", "payload": {"n": 1}}, {"id": "b2", "data": [2.5] * 8}, {"id": "nobody", "payload": {}}]
        result = self.do("batch_update_vectors", self.points, [value(update) for update in updates])
        assert (result.updated, result.failed) == (2, 1) and "nobody" in result.results[2].error
        self.written["b1"] = (self.written["b1"][0], {"n": 1})
        self.written["b2"] = ([2.5] * 8, self.written["b2"][1])

        result = self.do("batch_delete_vectors", self.points, ["b3", "b4", "nobody"])
        assert (result.deleted, result.failed) == (2, 1)
        del self.written["b3"], self.written["b4"]

        result = self.do("copy_vectors_rpc", self.points, self.other, ["b5", "b6", "nobody"])
        assert (result.src, result.dst, result.copied, result.failed) == (self.points, self.other, 2, 1)
        result = self.do("move_vectors_rpc", self.points, self.other, ["b7"])
        assert (result.src, result.dst, result.moved, result.failed) == (self.points, self.other, 1, 0)
        copied = {name: self.written[name] for name in ["b5", "b6", "b7"]}
        del self.written["b7"]
        self.check(self.points, self.written)
        self.check(self.other, copied | {"keep": ([1.0] * 8, None)})

    def filters(self):
        match = [name for name, (_, payload) in self.written.items() if payload and payload["n"] >= 120]
        result = self.do("bulk_update_metadata_rpc", self.points, value({"n": {"gte": 120}}), value({"seen": True, "text": None}))
        assert (result.scanned, result.matched, result.updated) == (len(self.written), len(match), len(match)) and match
        for name in match:
            self.written[name][1]["seen"] = True
        self.check(self.points, self.written)
        result = self.do("delete_by_filter_rpc", self.points, value({"must": [{"key": "seen", "match": {"value": True}}]}))
        assert (result.matched, result.deleted) == (len(match), len(match))
        for name in match:
            del self.written[name]
        self.check(self.points, self.written)
        self.fails("would match every point", "delete_by_filter_rpc", self.points, value({}))

    def searches(self):
        query = [0.25] * 8
        expected = sorted((math.dist(query, vector), name) for name, (vector, _) in self.written.items())[:10]
        result = self.do("search_explain", self.points, value({"vector": query, "k": 10}))
        assert (result.collection, result.k) == (self.points, 10)
        assert [hit.id for hit in result.hits] == [name for _, name in expected], (result.hits, expected)
        for hit, (distance, name) in zip(result.hits, expected):
            assert abs(hit.score - distance) < 1e-4
            assert (hit.payload and json.loads(hit.payload)) == self.written[name][1]
        assert result.trace.visited_nodes == len(self.written)
        assert 0 <= result.trace.hnsw_search_ms <= result.trace.total_ms

        requests = [
            {"collection": self.points, "query": query, "limit": 2},
            {"collection": "nowhere", "query": query, "limit": 2},
            {"collection": self.other, "query": [1.0] * 8, "limit": 1},
            {"collection": self.points, "query": "text", "limit": 1},
        ]
        results = self.do("batch_search", [value(request) for request in requests])
        assert [(one.index, one.status) for one in results] == [(0, "ok"), (1, "error"), (2, "ok"), (3, "error")]
        assert [hit.id for hit in results[0].results] == [name for _, name in expected[:2]]
        assert "nowhere" in results[1].error and abs(results[2].results[0].score - 1) < 1e-6

    def text(self):
        texts = {
            "swift": "the common swift sleeps on the wing and lands only to nest",
            "sea": "a lighthouse keeper watched the grey sea in winter",
            "bread": "bread rises when yeast turns sugar into gas",
            "index": "a database index trades space for faster search",
        }
        written = self.do("insert_text_vector", self.texts, "swift", texts["swift"], V.str_('{"kind": "bird"}'))
        assert (written.id, written.success) == ("swift", True)
        items = [{"id": name, "text": text} for name, text in texts.items() if name != "swift"]
        result = self.do("batch_insert_texts", self.texts, [value(item) for item in items] + [value({"id": "none", "text": " "})])
        assert (result.inserted, result.failed) == (3, 1), result
        info = self.do("get_collection_info", self.texts)
        assert (info.dimension, info.vector_count) == (512, 4)
        # The server's embedding is the one that its points have.
        embedded = self.do("embed_text", texts["sea"])
        assert (embedded.model, embedded.dimension, len(embedded.embedding)) == ("bm25", 512, 512)
        assert plain(self.do("get_vector", self.texts, "sea"))["data"] == embedded.embedding
        for name, question in [("swift", "where does a swift sleep"), ("sea", "the winter sea"), ("bread", "why bread rises"), ("index", "search in a database")]:
            basic = self.do("search_basic", self.texts, question, 4)
            by_text = self.do("search_by_text", self.texts, question, 4)
            assert basic == by_text and basic[0].id == name, (question, basic)
            vector = self.do("embed_text", question).embedding
            for hit in basic:
                point = plain(self.do("get_vector", self.texts, hit.id))["data"]
                assert abs(hit.score - cosine(vector, point)) < 1e-5
        assert json.loads(self.do("search_basic", self.texts, "swift", 1)[0].payload) == {"content": texts["swift"], "kind": "bird"}
        self.hybrid(texts)
        self.fails("no embedding provider", "search_basic", self.points, "swift", 1)
        self.fails("no embedding provider", "insert_text_vector", self.points, "x", "swift")

    def hybrid(self, texts):
        question = "winter sea"
        dense = [hit.id for hit in self.do("search_basic", self.texts, question, 4)]
        # Reciprocal ranks of the nearness alone, then of both: only one text has the words.
        alone = self.do("search_hybrid", self.texts, value({"query": question, "sparse_k": 0, "final_k": 3}))
        assert [hit.id for hit in alone] == dense[:3]
        for rank, hit in enumerate(alone):
            assert abs(hit.score - 1 / (60 + rank + 1)) < 1e-6, (rank, hit)
        both = self.do("search_hybrid", self.texts, value({"query": question, "algorithm": "rrf", "final_k": 4}))
        assert both[0].id == "sea" and abs(both[0].score - 2 / 61) < 1e-6 and len(both) == 4, both
        assert json.loads(both[0].payload)["content"] == texts["sea"]
        words = self.do("search_hybrid", self.texts, value({"query": question, "dense_k": 0}))
        assert [hit.id for hit in words] == ["sea"]
        self.fails("none of rrf, weighted and alpha", "search_hybrid", self.texts, value({"query": question, "algorithm": "best"}))
        self.fails("no embedding provider", "search_hybrid", self.points, value({"query": question}))

    def administration(self):
        names = self.do("list_collections")
        counts = [self.do("get_collection_info", name).vector_count for name in names]
        stats = self.do("admin_stats")
        assert (stats.collections_count, stats.total_vectors) == (len(names), sum(counts)) and stats.version
        status = self.do("admin_status")
        assert status.ready is True and status.collections_count == len(names) and status.version == stats.version
        progress = plain(self.do("admin_indexing_progress"))
        assert progress["total_collections"] == progress["indexed_collections"] == len(names)
        me = self.do("auth_me")
        assert me.authenticated is True and me.username == "local"
        made = self.do("auth_api_keys_create", value({"name": "suite", "role": "writer"}))
        assert made.name == "suite" and made.api_key.startswith("apus_" + made.id)
        listed = plain(self.do("auth_api_keys_list"))
        assert [(key["role"], key["active"]) for key in listed if key["id"] == made.id] == [("writer", True)]
        assert made.api_key not in json.dumps(listed)
        assert self.do("auth_api_keys_revoke", made.id) is True
        self.fails("no key", "auth_api_keys_revoke", made.id)
        replication = plain(self.do("replication_status"))
        assert replication["role"] == "standalone" and replication["replicas"] == []
        rebalanced = plain(self.do("cluster_rebalance"))
        assert rebalanced["success"] is True and rebalanced["message"] == "Cluster is already balanced", rebalanced
        assert self.do("cluster_rebalance_status").status == "idle"

    def expect_unsupported(self, name, *arguments):
        try:
            self.client.do(name, *arguments)
        except RpcServerError as error:
            assert str(error).startswith("[unsupported] "), f"{name}: {error}"
            self.unsupported[name] = str(error)
        else:
            raise AssertionError(f"{name} claims to have done something")

    def the_rest(self):
        """What the server does not have says so; nothing claims success."""
        arguments = {
            "set_vector_expiry": (self.points, "keep", "2030-01-01T00:00:00Z"), "search_by_file": (self.points, value({})),
            "admin_workspace_remove": ("w",), "auth_logout": ("t",), "auth_refresh_token": ("t",), "auth_validate_password": ("p",),
            "auth_introspect": ("t",), "rotate_api_key_rpc": ("k",), "cluster_failover": ("n",), "cluster_replica_resync": ("n",),
            "graph_neighbors": (self.points, "keep"), "graph_find_related": (self.points, "keep", 2),
            "graph_find_path": (self.points, "a", "b"), "graph_create_edge": (self.points, value({})), "graph_delete_edge": (self.points, "e"),
            "graph_discover_edges": (self.points, value({})), "graph_discover_edges_for_node": (self.points, "keep", value({})),
        }
        without = {
            "admin_logs", "admin_config_get", "admin_backups_list", "admin_workspaces_list", "admin_workspace_get", "admin_restart",
            "admin_slow_queries_list", "replication_stats", "replication_replicas_list",
        }
        for name in sorted(wrappers(self.client.client) - self.passed - {"delete_collection"} - set(self.unsupported)):
            if name in arguments:
                self.expect_unsupported(name, *arguments[name])
            elif name in without:
                self.expect_unsupported(name)
            elif name.startswith("graph_"):
                self.expect_unsupported(name, self.points)
            else:
                self.expect_unsupported(name, value({}))


def calls(url):
    outcomes = []
    for client, suffix in [(Sync(url), "sync"), (Async(url), "async")]:
        suite = Suite(client, suffix)
        suite.run()
        client.close()
        outcomes.append((sorted(suite.passed), suite.unsupported))
    assert outcomes[0] == outcomes[1]
    return {"passed": outcomes[0][0], "unsupported": outcomes[0][1]}


def load(url):
    setup = RpcClient.connect_url(url)
    setup.create_collection("load", value({"dimension": 4, "metric": "dot"}))
    address = url.removeprefix("vectorizer://")

    # 256 threads share one connection.
    client = RpcClient.connect_url(url)
    wrong = []

    def insert(thread):
        try:
            for number in range(4):
                name = f"t{thread}-{number}"
                assert client.insert_vector("load", name, [float(thread), float(number), 0.0, 1.0]).id == name
                assert plain(client.get_vector("load", name))["data"][:2] == [thread, number]
        except BaseException as error:  # told to the main thread
            wrong.append(repr(error))

    threads = [threading.Thread(target=insert, args=(thread,)) for thread in range(256)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, wrong[:3]
    client.close()

    async def concurrent():
        one = await AsyncRpcClient.connect_url(url)
        results = await asyncio.gather(*(one.insert_vector("load", f"a{number}", [float(number), 0.0, 0.0, 0.0]) for number in range(1000)))
        assert [result.id for result in results] == [f"a{number}" for number in range(1000)]
        answers = await asyncio.gather(*(one.search_explain("load", value({"vector": [1.0, 0.0, 0.0, 0.0], "k": 1})) for _ in range(256)))
        assert all(answer.hits[0].id == "a999" for answer in answers)
        await one.close()
        pool = AsyncRpcPool(RpcPoolConfig(address=address, max_connections=4))

        async def through_pool(number):
            guard = await pool.acquire()
            async with guard as pooled:
                return (await pooled.insert_vector("load", f"q{number}", [0.0] * 4)).id

        assert sorted(await asyncio.gather(*(through_pool(number) for number in range(64)))) == sorted(f"q{number}" for number in range(64))
        assert await pool.idle_count() <= 4
        await pool.close()

    asyncio.run(concurrent())

    pool = RpcPool(RpcPoolConfig(address=address, max_connections=4))

    def through_pool(number):
        with pool.acquire() as pooled:
            pooled.insert_vector("load", f"p{number}", [0.0] * 4)

    threads = [threading.Thread(target=through_pool, args=(number,)) for number in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pool.idle_count() <= 4
    pool.close()
    count = setup.get_collection_info("load").vector_count
    assert count == 256 * 4 + 1000 + 64 + 32, count
    setup.close()
    return {"points": count}


def keys(url, key, reader):
    for make in [Sync, Async]:
        client = make(url)
        assert client.do("ping") == "PONG"
        for name, arguments in [("list_collections", ()), ("auth_me", ()), ("hello", (HelloPayload(),)), ("graph_list_nodes", ("x",))]:
            try:
                client.do(name, *arguments)
            except RpcNotAuthenticated as error:
                assert str(error).startswith("NOAUTH"), error
            else:
                raise AssertionError(f"{name} needs no key")
        for wrong in ["", "nonsense", key[:-1] + ("0" if key[-1] != "0" else "1")]:
            try:
                client.do("hello", HelloPayload(api_key=wrong))
            except RpcNotAuthenticated as error:
                assert "WRONGPASS" in str(error), error
            else:
                raise AssertionError("a wrong key was taken")
        for payload in [HelloPayload(api_key=key), HelloPayload(token=key)]:
            hello = client.do("hello", payload)
            assert hello.authenticated and hello.admin
        assert client.client.is_authenticated()
        name = "keys-" + make.__name__
        client.do("create_collection", name, value({"dimension": 2, "metric": "cosine"}))
        client.close()

        client = make(url, HelloPayload(api_key=reader))
        assert name in client.do("list_collections")
        assert client.do("hello", HelloPayload(api_key=reader)).admin is False
        for call, arguments in [
            ("insert_vector", (name, "x", [1.0, 1.0])), ("delete_collection", (name,)), ("auth_api_keys_list", ()), ("cluster_rebalance", ()),
        ]:
            try:
                client.do(call, *arguments)
            except RpcNotAuthenticated as error:
                assert "NOPERM" in str(error), error
            else:
                raise AssertionError(f"a reader may {call}")
        assert client.do("get_collection_info", name).vector_count == 0
        client.close()
    pool = RpcPool(RpcPoolConfig(address=url.removeprefix("vectorizer://"), hello=HelloPayload(api_key=reader)))
    with pool.acquire() as pooled:
        assert len(pooled.list_collections()) == 2
    pool.close()
    return {"done": True}


def restart(url, directory):
    """The node is killed while this writes, and started again on the same port."""
    client = RpcClient.connect_url(url)
    client.create_collection("restart", value({"dimension": 2, "metric": "dot"}))
    acknowledged, unknown = [], []
    number = 0
    while not os.path.exists(directory + "/restarted"):
        number += 1
        try:
            client.insert_vector("restart", f"p{number}", [float(number), 1.0], V.str_(json.dumps({"n": number})))
            acknowledged.append(number)
            if len(acknowledged) == 100:
                open(directory + "/writing", "w").close()
        except RpcConnectionClosed:
            unknown.append(number)
            time.sleep(0.01)
        except RpcServerError as error:
            # It listens before it has read its catalog, and says so.
            assert str(error).startswith("[service_unavailable] "), error
            time.sleep(0.01)
    # The same client: it dials again by itself.
    deadline = time.time() + 60
    while True:
        try:
            client.ping()
            break
        except RpcConnectionClosed:
            assert time.time() < deadline
            time.sleep(0.01)
    for number in acknowledged:
        point = plain(client.get_vector("restart", f"p{number}"))
        assert point["data"] == [number, 1.0] and json.loads(point["payload"]) == {"n": number}, number
    count = client.get_collection_info("restart").vector_count
    assert len(acknowledged) <= count <= len(acknowledged) + len(unknown)
    assert client.insert_vector("restart", "after", [0.0, 0.0]).success
    assert unknown, "the node was never away"
    return {"acknowledged": len(acknowledged), "unanswered": len(unknown), "points": count}


def rotation(count, key, *urls):
    """What one node has acknowledged the next one's search finds, at once."""
    clients = []
    for url in urls:
        clients.append(RpcClient.connect_url(url))
        clients[-1].hello(HelloPayload(api_key=key))
    clients[0].create_collection("rotation", value({"dimension": 2, "metric": "euclidean", "replication_factor": 2,
                                                   "sharding": {"shard_count": 6}}))
    misses = []
    for number in range(int(count)):
        vector = [number * 10.0, 1.0]
        assert clients[number % len(clients)].insert_vector("rotation", f"p{number}", vector, V.null()).success
        found = clients[(number + 1) % len(clients)].search_explain("rotation", value({"vector": vector, "k": 1}))
        if [hit.id for hit in found.hits] != [f"p{number}"]:
            misses.append(number)
    return {"searches": int(count), "misses": misses}


if __name__ == "__main__":
    result = {"calls": calls, "load": load, "keys": keys, "rotation": rotation, "restart": restart}[sys.argv[1]](*sys.argv[2:])
    print(json.dumps(result))
