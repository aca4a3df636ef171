"""What the unmodified hugr-client must get: the rows of the wire contract's check list, by their numbers.

    suite.py URL KEY OTHER_URL NODE_URLS ROW...

Prints one line a row, `PASS n` or `FAIL n: why`. OTHER_URL is another node of the cluster, or the same one; NODE_URLS has commas between them.
"""
import asyncio
import contextlib
import io
import json
import os
import re
import subprocess
import sys
import time
import traceback

for name in list(os.environ):
    if name.startswith("HUGR_") or name == "TZ":
        del os.environ[name]
os.environ["HUGR_CONFIG_PATH"] = "/nonexistent/connections.json"

import pyarrow as pa
import requests
from hugr import HugrClient, connect_stream
from hugr.stream import HugrStreamingClient

URL, KEY, OTHER, METRICS = sys.argv[1:5]
ROWS = sys.argv[5:]


def client(url=URL, **options):
    return HugrClient(url=url + "/ipc", api_key=KEY, **options)


def raises(kind, body, text=""):
    try:
        body()
    except kind as error:
        assert text in str(error), f"{text!r} is not in {error!r}"
        return str(error)
    raise AssertionError(f"nothing was raised, {kind.__name__} should have been")


def table(query, path, **options):
    return client(**options).query(query).parts[path].to_arrow()


def metric(name):
    """Added up over the nodes."""
    text = "\n".join(requests.get(url + "/prometheus/metrics", headers={"X-API-Key": KEY}, timeout=10).text for url in METRICS.split(","))
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name + " ") or line.startswith(name + "{"))


def wait(condition, limit=20):
    end = time.monotonic() + limit
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("it did not come to be")


def row1():
    r = client().query("{ t(order_by: [{field: \"id\"}]) { id name v } }")
    assert list(r.parts) == ["data.t"], list(r.parts)
    t = r.parts["data.t"].to_arrow()
    assert t.shape == (3, 3)
    assert [f.type for f in t.schema] == [pa.int64(), pa.string(), pa.float64()], t.schema
    assert t.to_pylist() == [{"id": 1, "name": "a", "v": 1.5}, {"id": 2, "name": None, "v": None}, {"id": 3, "name": "ü", "v": -0.25}]


def row2():
    r = client().query("{ a: core { b: data_sources { name } } }")
    assert list(r.parts) == ["data.a.b"], list(r.parts)
    assert "shop" in r.parts["data.a.b"].df()["name"].tolist() or r.parts["data.a.b"].df().shape[0] >= 0


def row3():
    r = client().query("{ t { id } u: t { id name } }")
    assert list(r.parts) == ["data.t", "data.u"]
    raises(ValueError, lambda: r.df(), "No such path: None")
    assert r.df("data.t").shape == (3, 1)


def row4():
    r = client().query("{ t_by_pk(id: 1) { id name } }")
    assert r.record() == {"id": 1, "name": "a"}
    assert r.df().shape == (1, 2)


def row5():
    r = client().query("{ t_by_pk(id: 99) { id } }")
    assert "data.t_by_pk" in r
    raises(ValueError, lambda: r.record(), "Content not loaded")


def row6():
    assert client().query("{ t_aggregation { _rows_count } }").record()["_rows_count"] == 3


def row7():
    r = client().query("{ t(filter: {id: {eq: 77}}) { id name } }")
    assert r.df().shape[0] == 0 and list(r.df().columns) == ["id", "name"]


def row8():
    raises(ValueError, lambda: client().query("{ nope }"), 'GraphQL errors: [{"message":')


def row9():
    raises(ValueError, lambda: client().query("{ t {"), 'GraphQL errors: [{"message":')


def row10():
    raises(PermissionError, lambda: HugrClient(url=URL + "/ipc", api_key="wrong").query("{ t { id } }"), "401")
    raises(PermissionError, lambda: HugrClient(url=URL + "/ipc", token="wrong").query("{ t { id } }"), "401")


async def row11():
    """A role sees what its rules let it see, over both ways; and the client's name for the key's header is its own."""
    admin = client()
    name = f"viewer{time.time_ns()}"
    admin.query("mutation($d: core_roles_mut_input_data!) { core { insert_roles(data: $d) { name } } }", {"d": {"name": name}})
    rule = {"role": name, "type_name": "data-object:query", "field_name": "t", "filter": {"id": {"eq": 1}}}
    admin.query(
        "mutation($d: core_role_permissions_mut_input_data!) { core { insert_role_permissions(data: $d) { role } } }", {"d": rule})
    service = os.environ["SUITE_SERVICE_KEY"]
    viewer = dict(api_key=service, api_key_header="x-hugr-secret-key", role=name)
    assert HugrClient(url=URL + "/ipc", **viewer).query("{ t { id } }").parts["data.t"].to_arrow().to_pylist() == [{"id": 1}]
    assert table("{ t { id } }", "data.t").num_rows == 3
    raises(Exception, lambda: HugrClient(url=URL + "/ipc", **viewer).query("{ core { data_sources { name } } }"), "forbidden")
    c = connect_stream(URL + "/ipc", **viewer)
    assert await count(c, "{ t { id } }") == 1
    await c.disconnect()
    async with HugrStreamingClient(URL + "/ipc", **viewer) as c:
        assert await asyncio.wait_for(events(await c.subscribe("subscription { query { t { id } } }")), 10) == [("t", 1)]
    os.environ["HUGR_API_KEY_HEADER"] = "X-API-Key"
    try:
        assert table("{ t { id } }", "data.t").num_rows == 3
    finally:
        del os.environ["HUGR_API_KEY_HEADER"]


def row12():
    query = """query($i: BigInt, $f: Float, $s: String, $b: Boolean, $d: Date, $l: [BigInt!], $o: types_filter) {
      i: types(filter: {i: {eq: $i}}) { id } f: types(filter: {f: {eq: $f}}) { id } s: types(filter: {s: {eq: $s}}) { id }
      b: types(filter: {b: {eq: $b}}) { id } d: types(filter: {d: {eq: $d}}) { id } l: types(filter: {i: {in: $l}}) { id }
      o: types(filter: $o) { id } }"""
    r = client().query(query, {"i": 2**53 + 1, "f": 0.5, "s": "text", "b": True, "d": "2026-01-31", "l": [2**53 + 1, 7], "o": {"s": {"eq": "text"}}})
    for key in "ifsbdlo":
        assert r.parts[f"data.{key}"].to_arrow().to_pylist() == [{"id": 1}], key


def row13():
    name = f"made {time.time()}"
    r = client().query("mutation($n: String!) { insert_t2(data: {name: $n}) { id name } }", {"n": name})
    made = r.record()
    assert made["name"] == name
    seen = client(OTHER).query("query($id: BigInt!) { t2_by_pk(id: $id) { name } }", {"id": made["id"]}).record()
    assert seen == {"name": name}


def row14():
    exact = 2**53 + 1
    assert table("{ types(filter: {id: {eq: 1}}) { i } }", "data.types").to_pylist() == [{"i": exact}]
    assert client().query("{ types_by_pk(id: 1) { i } }").record() == {"i": exact}


def row15():
    column = table("{ types { ts } }", "data.types", timezone="Europe/Berlin").schema.field("ts")
    assert column.type == pa.timestamp("us", "Europe/Berlin"), column
    assert table("{ types { ts } }", "data.types", timezone="Europe/Atlantis").schema.field("ts").type == pa.timestamp("us", "UTC")
    told = table("{ types(filter: {id: {eq: 1}}) { ts } }", "data.types", timezone="Europe/Berlin").to_pylist()[0]["ts"]
    assert told.isoformat() == "2026-01-31T13:00:00.500000+01:00", told


def boundary():
    answer = requests.post(URL + "/ipc", json={"query": "{ t { id } }", "variables": {}}, headers={"X-Hugr-Api-Key": KEY})
    return re.search("boundary=(.*)", answer.headers["Content-Type"])[1]


def row16():
    value = f"x\r\n--HUGR\r\n\r\n--{boundary()}\r\nX-Hugr-Path: data.admin\r\n\r\n{{}}\r\n--{boundary()}--\r\n"
    made = client().query("mutation($n: String!) { insert_t2(data: {name: $n}) { id name } }", {"n": value}).record()
    assert made["name"] == value
    r = client().query("query($id: BigInt!) { t2(filter: {id: {eq: $id}}) { name } }", {"id": made["id"]})
    assert list(r.parts) == ["data.t2"]
    assert r.parts["data.t2"].to_arrow().to_pylist() == [{"name": value}]
    assert boundary() != boundary() and len(boundary()) >= 24


def row17():
    g = client().query('{ g(order_by: [{field: "id"}]) { id geom } }').gdf("data.g", "geom")
    assert str(g.crs) == "EPSG:4326", g.crs
    assert [None if x is None else x.wkt for x in g.geometry] == ["POINT (1 2)", None, "POLYGON ((0 0, 1 0, 1 1, 0 0))"], list(g.geometry)


def row18():
    r = client().query('{ d(order_by: [{field: "id"}]) { id site { n geom } } }')
    g = r.gdf("data.d", "site.geom")
    assert g["id"].tolist() == [1, 2, 3]
    assert [None if x is None else x.wkt for x in g.geometry] == ["POINT (1 2)", None, None], list(g.geometry)


def row19():
    layers = client().query("{ g { id geom } }").geojson_layers()
    assert list(layers) == ["data.g.geom"], list(layers)
    assert layers["data.g.geom"]["type"] == "FeatureCollection"


def row20():
    count = 1_000_000
    assert table(f"{{ big(limit: {count}) {{ id s ts }} }}", "data.big").num_rows == count

    async def rows():
        c = connect_stream(URL + "/ipc", api_key=KEY)
        with contextlib.redirect_stdout(io.StringIO()):
            got = await (await c.stream(f"{{ big(limit: {count}) {{ id s ts }} }}")).count()
        await c.disconnect()
        return got

    assert asyncio.run(rows()) == count


async def quiet(awaitable):
    with contextlib.redirect_stdout(io.StringIO()):
        return await awaitable


@contextlib.asynccontextmanager
async def streaming():
    c = connect_stream(URL + "/ipc", api_key=KEY)
    try:
        yield c
    finally:
        await c.disconnect()


async def count(c, query):
    return await quiet((await c.stream(query)).count())


async def row22():
    async with streaming() as c:
        assert await count(c, "{ t { id } }") == 3
        assert await count(c, "{ t { id name } }") == 3
        first = await c.stream("{ slow(limit: 20) { id } }")
        try:
            await c.stream("{ t { id } }")
            raise AssertionError("a second query was begun")
        except Exception as error:
            assert "already active" in str(error), error
        assert await quiet(first.count()) == 20


async def row23():
    async with streaming() as c:
        start = time.monotonic()
        try:
            await count(c, "{ nothing { id } }")
            raise AssertionError("no error")
        except Exception as error:
            assert "Stream error: " in str(error), error
        assert time.monotonic() - start < 1
        assert await count(c, "{ t { id } }") == 3


async def row24():
    async with streaming() as c:
        s = c._get_streaming_client()
        assert await quiet((await s.stream_data_object("t", ["id"])).count()) == 3
        assert await quiet((await s.stream_data_object("t", ["id"], {"limit": 2})).count()) == 2
        try:
            await asyncio.wait_for(quiet((await s.stream_data_object("t", ["nope"])).count()), 5)
            raise AssertionError("no error")
        except Exception as error:
            assert "Stream error: " in str(error), error


async def row25():
    async with streaming() as c:
        stream = await c.stream("{ slow(limit: 100000) { id } }")
        async for _ in stream.chunks():
            assert metric("apus_query_streams") >= 1
            await c.cancel_current_query()
            break
        await asyncio.to_thread(wait, lambda: metric("apus_query_streams") == 0, 1)


async def row26():
    seconds = int(os.environ.get("SUITE_SECONDS", "35"))
    async with streaming() as c:
        assert await asyncio.wait_for(count(c, f"{{ each_second(limit: {seconds}) {{ id }} }}"), seconds + 30) == seconds


async def events(s):
    got = []

    async def eat(event):
        rows = 0
        async for batch in event.chunks():
            rows += batch.num_rows
        got.append((event.path, rows))

    tasks = [asyncio.create_task(eat(e)) async for e in s.events()]
    await asyncio.gather(*tasks)
    return sorted(got)


async def row28():
    async with HugrStreamingClient(URL + "/ipc", api_key=KEY) as c:
        s = await c.subscribe('subscription { query(interval: "1s", count: 3) { t { id } } }')
        assert await asyncio.wait_for(events(s), 20) == [("t", 9)]
        assert s._error is None


async def row29():
    async with HugrStreamingClient(URL + "/ipc", api_key=KEY) as c:
        s = await c.subscribe("subscription { query { nothing { id } } }")
        assert await asyncio.wait_for(events(s), 10) == []
        assert s._error, s._error


async def row30():
    async with HugrStreamingClient(URL + "/ipc", api_key=KEY) as c:
        s = await c.subscribe('subscription { query(interval: "100ms") { t { id } } }')
        async for event in s.events():
            async for _ in event.chunks():
                break
            await s.cancel()
            break
        again = await c.subscribe("subscription { query { t { id } } }")
        assert await asyncio.wait_for(events(again), 10) == [("t", 3)]


def row31():
    import websockets

    script = "import asyncio, suite; asyncio.run(suite.row22()); import websockets; print(websockets.__version__)"
    folder = os.path.join(os.path.dirname(os.path.dirname(sys.executable)), "websockets-10.4")
    for path in ("", folder):
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, [path, os.path.dirname(os.path.abspath(__file__))])))
        run = subprocess.run([sys.executable, "-B", "-c", script, URL, KEY, OTHER, METRICS], env=environment, capture_output=True, text=True, timeout=60)
        version = run.stdout.strip().split("\n")[-1]
        assert run.returncode == 0 and version == ("10.4" if path else websockets.__version__), run.stdout + run.stderr


def row21():
    """The node is killed while it sends."""
    import threading

    def kill():
        wait(lambda: metric("apus_query_streams") >= 1)
        os.kill(int(os.environ["SUITE_PID"]), 9)

    killer = threading.Thread(target=kill)
    killer.start()
    raises(requests.exceptions.RequestException, lambda: client().query("{ slow(limit: 100000) { id } }"))
    killer.join()


async def row27():
    """The node is told to stop in the middle of a stream."""
    import signal

    async with streaming() as c:
        stream = await c.stream("{ slow(limit: 100000) { id } }")
        told = False
        try:
            async for _ in stream.chunks():
                if not told:
                    os.kill(int(os.environ["SUITE_PID"]), signal.SIGTERM)
                told = True
            raise AssertionError("the stream ended as if it were whole")
        except Exception as error:
            assert told and "Stream error: " in str(error), error


def row32():
    r = client().query('{ jq(query: ".t2 | map(.id) | length") { t2(limit: 2) { id } } t2(limit: 2) { id } }')
    told = r.extension("extensions").content()
    assert told["jq"]["jq"] == 2, told
    assert r.parts["data.t2"].to_arrow().num_rows == 2
    kept = client().query('{ jq(query: ".t2 | length", include_origin: true) { t2(limit: 2) { id } } }')
    assert len(kept.parts["data.jq"].content()["t2"]) == 2, kept.parts["data.jq"].content()
    raises(ValueError, lambda: client().query('{ jq(query: "error(1)") { t2(limit: 1) { id } } }').parts, "jq")


def row33():
    answer = requests.post(
        URL + "/ipc", headers={"X-Hugr-Api-Key": KEY, "Accept": "multipart/mixed"},
        json={"query": '{ g { geom } t_by_pk(id: 1) { id } t(limit: 1) { id } cut: big { id } }', "variables": {}})
    assert answer.headers["Content-Type"].startswith("multipart/mixed; boundary="), answer.headers
    names = set(re.findall(rb"\r\n(X-[A-Za-z-]+): ", answer.content))
    known = {b"X-Hugr-Format", b"X-Hugr-Part-Type", b"X-Hugr-Path", b"X-Hugr-Geometry", b"X-Hugr-Geometry-Fields", b"X-Hugr-Table-Info"}
    assert names == known, names
    for line in [
        b'X-Hugr-Geometry: true\r\n', b'X-Hugr-Geometry-Fields: {"geom":{"srid":"4326","format":"WKB"}}\r\n', b"X-Hugr-Part-Type: extensions\r\n",
        b"X-Hugr-Path: data.g\r\n", b"X-Hugr-Format: table\r\n", b"X-Hugr-Format: object\r\n",
    ]:
        assert line in answer.content, line


# Beside the check list.

def is_gone(process):
    try:
        return open(f"/proc/{process}/stat").read().rsplit(")", 1)[1].split()[0] in "ZX"
    except FileNotFoundError:
        return True


def killed_beside():
    """Many ask through the front door while a node is killed: only what was under way on it may fail."""
    import threading

    asked, failures, lock, done = [0], [], threading.Lock(), threading.Event()

    def ask():
        while not done.is_set():
            begin = time.monotonic()
            try:
                assert table("{ t { id name v } }", "data.t").num_rows == 3
            except Exception as error:
                with lock:
                    failures.append((begin, repr(error)))
            with lock:
                asked[0] += 1

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        wait(lambda: asked[0] >= 100, 60)
        node = int(os.environ["SUITE_PID"])
        os.kill(node, 9)
        # It takes connections until the system has put it away.
        wait(lambda: is_gone(node))
        # The balancer may hold a connection whose end it has not read yet: what it sends on that is under way, too.
        gone = asked[0]
        wait(lambda: asked[0] >= gone + 2 * len(threads), 60)
        killed, count = time.monotonic(), asked[0]
        wait(lambda: asked[0] >= count + 300, 60)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    late = [failure for failure in failures if failure[0] > killed]
    assert not late and len(failures) <= len(threads), failures
    print(f"{asked[0]} requests, {len(failures)} failed", file=sys.stderr)


def types():
    t = table('{ types(order_by: [{field: "id"}]) { id i f s b d tm ts dt iv j xs u small child { w } } }', "data.types")
    expected = {
        "id": pa.int64(), "i": pa.int64(), "f": pa.float64(), "s": pa.string(), "b": pa.bool_(), "d": pa.date32(), "tm": pa.time64("us"),
        "ts": pa.timestamp("us", "UTC"), "dt": pa.timestamp("us"), "iv": pa.month_day_nano_interval(), "j": pa.string(),
        "xs": pa.list_(pa.int32()), "u": pa.string(), "small": pa.int32(), "child": pa.list_(pa.struct([("w", pa.int32())])),
    }
    assert {f.name: f.type for f in t.schema} == expected, t.schema
    full, empty = t.to_pylist()
    assert full["d"].isoformat() == "2026-01-31" and full["tm"].isoformat() == "09:30:00.250000"
    assert full["dt"].isoformat() == "2026-01-31T12:00:00" and full["ts"].isoformat() == "2026-01-31T12:00:00.500000+00:00"
    assert tuple(full["iv"]) == (14, 3, 4 * 3600 * 10**9 + 5 * 10**8), full["iv"]
    assert full["xs"] == [1, None, 3] and json.loads(full["j"]) == {"a": [1, "ü"]} and full["child"] == [{"w": 10}, {"w": 20}]
    assert all(value is None for key, value in empty.items() if key != "id"), empty


def batches():
    """A list beside another is asked for by keys; so is a row of another source."""
    t = table('{ types(order_by: [{field: "id"}]) { id a: child(nested_order_by: [{field: "id"}]) { w back { s } } b: child { w } } }', "data.types")
    got = t.to_pylist()
    assert got[0]["a"] == [{"w": 10, "back": {"s": "text"}}, {"w": 20, "back": {"s": "text"}}], got
    assert sorted(x["w"] for x in got[0]["b"]) == [10, 20] and got[1]["a"] is None and got[1]["b"] is None, got


def main():
    failures = 0
    for name in ROWS:
        body = globals()["row" + name if name[0].isdigit() else name]
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                asyncio.run(body()) if asyncio.iscoroutinefunction(body) else body()
            print(f"PASS {name}", flush=True)
        except BaseException as error:
            failures += 1
            place = traceback.extract_tb(error.__traceback__)[-1]
            print(f"FAIL {name}: {type(error).__name__}: {error} ({place.name}, line {place.lineno})", flush=True)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
