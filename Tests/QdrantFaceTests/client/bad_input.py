"""Requests that must be refused, with the status and the words of the real server. usage: bad_input.py URL KEY"""

import json
import sys

import httpx

url, key = sys.argv[1], sys.argv[2]
client = httpx.Client(base_url=url, headers={"api-key": key} if key else {}, timeout=60)
failures = []


def send(method, path, body=None, raw=None):
    return client.request(method, url + path, content=raw if raw is not None else (json.dumps(body) if body is not None else None),
                          headers={"content-type": "application/json"})


def check(what, response, status, text):
    try: error = response.json()["status"]["error"]
    except Exception: error = response.text
    if response.status_code != status or text not in error: failures.append(f"{what}: {response.status_code} {error!r}, not {status} {text!r}")


def refused(method, path, body, status, text):
    check(f"{method} {path} {str(body)[:200]}", send(method, path, body), status, text)


def exactly(method, path, body, status, text):
    response = send(method, path, body)
    error = response.json()["status"]["error"]
    if (response.status_code, error) != (status, text): failures.append(f"{method} {path} {str(body)[:200]}: {response.status_code} {error!r}, not {status} {text!r}")
    if not isinstance(response.json()["time"], float): failures.append(f"{path}: no time")


assert send("PUT", "/collections/bad", {"vectors": {"size": 4, "distance": "Cosine"}, "sparse_vectors": {"s": {}}}).status_code == 200
assert send("PUT", "/collections/named", {"vectors": {"v": {"size": 2, "distance": "Dot"}}}).status_code == 200
assert send("PUT", "/collections/bad/points", {"points": [{"id": 1, "vector": [1, 0, 0, 0], "payload": {"n": 1}}]}).status_code == 200

# The table of the contract.
exactly("PUT", "/collections/bad/points", {"points": [{"id": 2, "vector": [1, 2, 3]}]}, 400, "Wrong input: Vector dimension error: expected dim: 4, got 3")
exactly("POST", "/collections/bad/points/query", {"query": [1, 2, 3]}, 400, "Wrong input: Vector dimension error: expected dim: 4, got 3")
for method, path, body in [
    ("GET", "/collections/none", None), ("POST", "/collections/none/points/query", {"query": [1]}), ("POST", "/collections/none/points/count", {}),
    ("POST", "/collections/none/points/scroll", {}), ("POST", "/collections/none/points", {"ids": [1]}), ("GET", "/collections/none/snapshots", None),
    ("PUT", "/collections/none/points", {"points": [{"id": 1, "vector": [1]}]}), ("POST", "/collections/none/points/delete", {"points": [1]}),
    ("PUT", "/collections/none/index", {"field_name": "a", "field_schema": "keyword"}), ("PATCH", "/collections/none", {}),
    ("GET", "/collections/none/cluster", None), ("POST", "/collections/none/facet", {"key": "a"}), ("POST", "/collections/none/snapshots", None),
    ("POST", "/collections/aliases", {"actions": [{"create_alias": {"collection_name": "none", "alias_name": "x"}}]}),
]: exactly(method, path, body, 404, "Not found: Collection `none` doesn't exist!")
exactly("PUT", "/collections/bad", {"vectors": {"size": 4, "distance": "Dot"}}, 409, "Wrong input: Collection `bad` already exists!")
exactly("PUT", "/collections/named/points", {"points": [{"id": 1, "vector": {"x": [1, 2]}}]}, 400, "Wrong input: Not existing vector name error: x")
exactly("POST", "/collections/named/points/query", {"query": [1, 2], "using": "x"}, 400, "Wrong input: Not existing vector name error: x")
exactly("POST", "/collections/named/points/query", {"query": [1, 2]}, 400, "Wrong input: Not existing vector name error: ")
exactly("POST", "/collections/named/points/vectors/delete", {"points": [1], "vector": ["x"]}, 400, "Wrong input: Not existing vector name error: x")
exactly("POST", "/collections/bad/points/query", {"query": 77}, 404, "Not found: No point with id 77 found")
exactly("POST", "/collections/bad/points/payload", {"payload": {"a": 1}, "points": [1, 77]}, 404, "Not found: No point with id 77 found")
assert send("POST", "/collections/bad/points", {"ids": [1]}).json()["result"][0]["payload"] == {"n": 1, "a": 1}, "the others are written"
exactly("GET", "/collections/bad/points/77", None, 404, "Not found: No point with id 77 found")
exactly("POST", "/collections/aliases", {"actions": [{"rename_alias": {"old_alias_name": "a", "new_alias_name": "b"}}]}, 404, "Not found: Alias a does not exists!")
exactly("POST", "/collections/aliases", {"actions": [{"create_alias": {"collection_name": "bad", "alias_name": "named"}}]}, 409, "Wrong input: Collection `named` already exists!")
exactly("GET", "/collections/bad/snapshots/none", None, 404, "Not found: Snapshot none not found")
for raw in [b"{", b"", b"[1", b'{"points": [}', b'{"a": NaN}', b"\xff\xfe{}"]:
    check(f"PUT points {raw!r}", send("PUT", "/collections/bad/points", raw=raw), 400, "Format error in JSON body: ")
for body in [{"points": {}}, {}, [], {"points": [7]}, {"points": [{"id": 1}]}, {"points": [{"vector": [1, 2, 3, 4]}]}, {"points": [{"id": 1, "vector": "x"}]}]:
    refused("PUT", "/collections/bad/points", body, 400, "")
exactly("PUT", "/collections/new", {"vectors": {"size": 0, "distance": "Dot"}}, 422, "Validation error in JSON body: [vectors.size: value 0 invalid, must be from 1 to 65536]")
exactly("PUT", "/collections/new", {"vectors": {"size": 65537, "distance": "Dot"}}, 422, "Validation error in JSON body: [vectors.size: value 65537 invalid, must be from 1 to 65536]")
for character in '<>:"\\|?*/':
    quoted = "".join(f"%{byte:02X}" for byte in character.encode())
    exactly("PUT", f"/collections/a{quoted}b", {"vectors": {"size": 2, "distance": "Dot"}}, 422,
            f'Validation error in path parameters: [name: collection name cannot contain "{character}" char]')
refused("PUT", "/collections/a%1Fb", {"vectors": {"size": 2, "distance": "Dot"}}, 422, "collection name cannot contain")
refused("PUT", "/collections/" + "x" * 256, {"vectors": {"size": 2, "distance": "Dot"}}, 422, "length must be from 1 to 255 characters")
refused("PUT", "/collections/new", {"vectors": {"v" * 201: {"size": 2, "distance": "Dot"}}}, 400, "must be at most 200 bytes long")
refused("PUT", "/collections/new", {"vectors": {"size": 2, "distance": "Hamming"}}, 400, "unknown variant `Hamming`")
refused("PUT", "/collections/new", {"vectors": {"size": "2", "distance": "Dot"}}, 400, "invalid type")
refused("PUT", "/collections/new", {}, 400, "at least one vector")
for field, least in [("shard_number", 1), ("replication_factor", 1), ("write_consistency_factor", 1)]:
    exactly("PUT", "/collections/new", {"vectors": {"size": 2, "distance": "Dot"}, field: 0}, 422, f"Validation error in JSON body: [{field}: value 0 invalid, must be {least} or larger]")
for config, text in [
    ({"hnsw_config": {"ef_construct": 3}}, "hnsw_config.ef_construct: value 3 invalid, must be 4 or larger"),
    ({"hnsw_config": {"full_scan_threshold": 9}}, "hnsw_config.full_scan_threshold: value 9 invalid, must be 10 or larger"),
    ({"optimizers_config": {"deleted_threshold": 1.5}}, "optimizers_config.deleted_threshold: value 1.5 invalid, must be from 0.0 to 1.0"),
    ({"optimizers_config": {"vacuum_min_vector_number": 99}}, "optimizers_config.vacuum_min_vector_number: value 99 invalid, must be 100 or larger"),
    ({"quantization_config": {"scalar": {"type": "int8", "quantile": 0.2}}}, "quantization_config.scalar.quantile: value 0.2 invalid, must be from 0.5 to 1.0"),
]:
    exactly("PUT", "/collections/new", {"vectors": {"size": 2, "distance": "Dot"}, **config}, 422, f"Validation error in JSON body: [{text}]")
    exactly("PATCH", "/collections/bad", config, 422, f"Validation error in JSON body: [{text}]")
for path, body in [("scroll", {}), ("query", {"query": [1, 0, 0, 0]}), ("query/groups", {"group_by": "n"})]:
    exactly("POST", f"/collections/bad/points/{path}", {**body, "limit": 0}, 422, "Validation error in JSON body: [limit: value 0 invalid, must be 1 or larger]")
exactly("POST", "/collections/bad/facet", {"key": "n", "limit": 0}, 422, "Validation error in JSON body: [limit: value 0 invalid, must be 1 or larger]")
exactly("POST", "/collections/bad/points/count", {"filter": {"min_should": {"conditions": [], "min_count": 0}}}, 422, "Validation error in JSON body: [filter.min_should.min_count: value 0 invalid, must be 1 or larger]")
exactly("PUT", "/collections/bad/points", {"points": [{"id": 1, "vector": {"s": {"indices": [1, 2], "values": [1.0]}}}]}, 422, "Validation error in JSON body: [points[0].vector.s.values: must be the same length as indices]")
exactly("PUT", "/collections/bad/points", {"points": [{"id": 1, "vector": {"s": {"indices": [1, 1], "values": [1.0, 2.0]}}}]}, 422, "Validation error in JSON body: [points[0].vector.s.indices: must be unique]")
for id in [-1, 1.5, "abc", "123", True, None, 2**64, "550e8400-e29b-41d4-a716-44665544000"]:
    refused("PUT", "/collections/bad/points", {"points": [{"id": id, "vector": [1, 2, 3, 4]}]}, 400, "Format error in JSON body: ")
for spelling in ["550E8400-E29B-41D4-A716-446655440000", "550e8400e29b41d4a716446655440000", "{550e8400-e29b-41d4-a716-446655440000}", "urn:uuid:550e8400-e29b-41d4-a716-446655440000"]:
    assert send("PUT", "/collections/bad/points", {"points": [{"id": spelling, "vector": [1, 2, 3, 4]}]}).status_code == 200
    assert send("POST", "/collections/bad/points", {"ids": [spelling]}).json()["result"][0]["id"] == "550e8400-e29b-41d4-a716-446655440000"
assert send("PUT", "/collections/bad/points", {"points": [{"id": 2**64 - 1, "vector": [1, 2, 3, 4]}]}).status_code == 200
assert send("POST", "/collections/bad/points", {"ids": [2**64 - 1]}).json()["result"][0]["id"] == 2**64 - 1
me = send("GET", "/cluster").json()["result"]["peer_id"]
exactly("POST", "/collections/bad/cluster", {"move_shard": {"shard_id": 0, "from_peer_id": me, "to_peer_id": me}}, 422,
        'Validation error in JSON body: [move_shard.to_peer_id: cannot transfer shard to itself, "to_peer_id" must be different than "from_peer_id"]')
refused("POST", "/collections/bad/cluster", {"drop_replica": {"shard_id": 0, "peer_id": me}}, 400, "at least one replica")
assert send("PATCH", "/collections/named", {"strict_mode_config": {"enabled": True, "max_query_limit": 100, "filter_max_conditions": 2, "upsert_max_batchsize": 3, "search_allow_exact": False}}).status_code == 200
refused("POST", "/collections/named/points/query", {"query": [1, 2], "using": "v", "limit": 200}, 400, 'Wrong input: Limit exceeded 200 > 100 for "limit"')
refused("POST", "/collections/named/points/query", {"query": [1, 2], "using": "v", "params": {"exact": True}}, 400, "Exact search is not allowed")
refused("POST", "/collections/named/points/scroll", {"filter": {"must": [{"has_id": [1]}] * 3}}, 400, "Limit exceeded 3 > 2")
refused("PUT", "/collections/named/points", {"points": [{"id": i, "vector": {"v": [1, 2]}} for i in range(4)]}, 400, "Limit exceeded 4 > 3")
three = {"must": [{"has_id": [1]}] * 3}
one = {"query": [1, 2], "using": "v"}
for path, body in [
    ("points/query", {**one, "query": {"fusion": "rrf"}, "using": None, "prefetch": [one, {**one, "limit": 200}]}),
    ("points/query", {**one, "prefetch": {**one, "prefetch": {**one, "limit": 101}}}), ("facet", {"key": "n", "limit": 101}),
    ("points/query/groups", {**one, "group_by": "n", "prefetch": {**one, "limit": 101}}),
    ("points/query/batch", {"searches": [one, {**one, "prefetch": [{**one, "limit": 101}]}]}),
]: refused("POST", "/collections/named/" + path, body, 400, '> 100 for "limit"')
for path, body in [
    ("points/count", {"filter": three}), ("facet", {"key": "n", "filter": three}), ("points/delete", {"filter": three}),
    ("points/query", {**one, "prefetch": {**one, "filter": three}}), ("points/payload", {"payload": {"a": 1}, "filter": three}),
    ("points/payload/delete", {"keys": ["a"], "filter": three}), ("points/payload/clear", {"filter": three}),
    ("points/vectors/delete", {"vector": ["v"], "filter": three}), ("points/batch", {"operations": [{"delete": {"filter": three}}]}),
]: refused("POST", "/collections/named/" + path, body, 400, 'Limit exceeded 3 > 2 for "filter"')
refused("POST", "/collections/named/points/query", {**one, "prefetch": {**one, "params": {"exact": True}}}, 400, "Exact search is not allowed")
two = {"must": [{"has_id": [1]}] * 2}
assert send("POST", "/collections/named/points/query", {**one, "filter": two, "prefetch": {**one, "filter": two}}).status_code == 200, "each filter counts by itself"
for name, value, status in [("timeout", "0", 422), ("timeout", "x", 400), ("consistency", "0", 422), ("consistency", "most", 400)]:
    check(name, send("POST", f"/collections/bad/points/count?{name}={value}", {}), status, "query parameters")
check("ordering", send("PUT", "/collections/bad/points?ordering=x", {"points": [{"id": 1, "vector": [1, 2, 3, 4]}]}), 400, "query parameters")
check("a large body", send("PUT", "/collections/bad/points", raw=b'{"x": "' + b"a" * (32 << 20) + b'"}'), 413, "")

# Numbers: NaN is written as null by clients; what a float of 32 bits cannot hold is refused, its place named.
check("null", send("PUT", "/collections/bad/points", {"points": [{"id": 9, "vector": [1, None, 3, 4]}]}), 400, "points[0].vector[1]")
check("too large", send("PUT", "/collections/bad/points", {"points": [{"id": 9, "vector": [1, 2, 1e39, 4]}]}), 400, "points[0].vector[2]")
check("null query", send("POST", "/collections/bad/points/query", {"query": [1, None, 3, 4]}), 400, "query[1]")
assert send("POST", "/collections/bad/points", {"ids": [9]}).json()["result"] == []

# One bad point refuses the batch; of one id several times the last counts; a zero vector has score 0 by the cosine.
check("mixed", send("PUT", "/collections/bad/points", {"points": [{"id": 20, "vector": [1, 2, 3, 4]}, {"id": 21, "vector": [1]}]}), 400, "expected dim: 4, got 1")
assert send("POST", "/collections/bad/points", {"ids": [20, 21]}).json()["result"] == []
assert send("PUT", "/collections/bad/points", {"points": [{"id": 30, "vector": [0, 0, 0, 0], "payload": {"x": 1}}, {"id": 30, "vector": [0, 0, 0, 0], "payload": {"x": 2}}]}).status_code == 200
assert send("POST", "/collections/bad/points", {"ids": [30]}).json()["result"][0]["payload"] == {"x": 2}
hit = send("POST", "/collections/bad/points/query", {"query": [1, 0, 0, 0], "filter": {"must": {"has_id": [30]}}}).json()["result"]["points"]
assert hit[0]["score"] == 0, hit
for body in [{"points": []}, {"batch": {"ids": [], "vectors": []}}]: exactly("PUT", "/collections/bad/points", body, 400, "Wrong input: Empty update request")
check("columns", send("PUT", "/collections/bad/points", {"batch": {"ids": [1, 2], "vectors": [[1, 2, 3, 4]]}}), 422, "must be equal")
assert len(send("POST", "/collections/bad/points/query", {"query": [1, 0, 0, 0], "limit": 10**15}).json()["result"]["points"]) >= 4
assert send("POST", "/collections/bad/points/scroll", {"limit": 5, "unknown": {"field": 1}}).status_code == 200

# Filters and queries: what is not known is refused, since it would change what is asked.
deep = {"must": [{"key": "a", "match": {"value": 1}}]}
for _ in range(40): deep = {"must": [deep]}
for filter in [{"musst": []}, {"must": [{"key": "a"}]}, {"must": [{"key": "a", "match": {"value": 1.5}}]}, {"must": [{"key": "a", "range": {"gt": "soon"}}]},
               {"must": [{"key": "a..b", "match": {"value": 1}}]}, {"must": [{"has_id": ["x"]}]}, {"must": [{"key": "a", "match": {"value": 1, "any": [1]}}]},
               {"must": [{"key": "a", "match": {"any": [1, "a"]}}]}, {"must": "x"}, {"must": [{"nested": {"key": "a"}}]}, deep, 7,
               {"must": [{"key": "p", "geo_radius": {"center": {"lat": 91, "lon": 0}, "radius": 1}}]},
               {"must": [{"key": "p", "geo_polygon": {"exterior": {"points": [{"lat": 1, "lon": 1}]}}}]}]:
    response = send("POST", "/collections/bad/points/count", {"filter": filter})
    if response.status_code not in (400, 422): failures.append(f"filter {filter}: {response.status_code}")
for query in [{"fusion": "rrf"}, {"recommend": {"positive": []}}, {"recommend": {}}, {"nearest": [1, 2, 3, 4], "mmr": {"diversity": 2}}, {"formula": 1}, {"x": 1},
              {"order_by": {"key": "n", "direction": "up"}}, {"sample": "best"}, {"rrf": {"k": 0}}, [], [[1, 2], [3]], "abc", {"discover": {"target": 1}, "y": 2}]:
    response = send("POST", "/collections/bad/points/query", {"query": query})
    if response.status_code not in (400, 422): failures.append(f"query {query}: {response.status_code} {response.text[:200]}")
refused("POST", "/collections/bad/points/query", {"prefetch": {"query": [1, 2, 3, 4]}}, 400, "A query is needed to merge the prefetches")
refused("POST", "/collections/bad/points/scroll", {"order_by": "n", "offset": 1}, 400, "Cannot use an `offset` when using `order_by`")
refused("POST", "/collections/bad/points/batch", {"operations": [{"delete": {"points": [1]}}, {"nonsense": {}}]}, 400, "unknown variant")
assert send("POST", "/collections/bad/points", {"ids": [1]}).json()["result"], "nothing of a batch with a bad operation is done"
refused("PUT", "/collections/bad/snapshots/recover", {"location": "file:///nowhere"}, 400, "location")
refused("PUT", "/collections/bad/snapshots/recover", {"location": "file:///bad/none"}, 404, "Snapshot none not found")
check("upload", client.post(url + "/collections/bad/snapshots/upload", files={"snapshot": ("x.snapshot", b"no snapshot at all" * 9)}), 400, "not a whole snapshot")
refused("POST", "/snapshots", None, 400, "no snapshots of the whole storage")
for path in ["/nowhere", "/collections/bad/nowhere"]: refused("GET", path, None, 404, "Not found")

# What nobody said about a collection is told as it is: the node of this suite makes two replicas, and has sealed nothing.
told = send("GET", "/collections/named").json()["result"]
assert told["config"]["params"]["replication_factor"] == 2 and told["segments_count"] == 0 and told["indexed_vectors_count"] == 0, told

# Short requests that would take much time or memory, or end the process.
assert send("PUT", "/collections/large", {"vectors": {"size": 4, "distance": "Dot"}, "sparse_vectors": {"s": {}}}).status_code == 200
assert send("PUT", "/collections/large/points", {"points": [
    {"id": i, "vector": [1, 2, 3, i], "payload": {"n": 1, "t": "x" * 100}} for i in range(2000)]}).status_code == 200
for names in [[""] * 256, ["", "s"] * 300]:
    assert send("POST", "/collections/large/points/vectors/delete", {"points": [1], "vector": names}).status_code == 200, len(names)
found = send("POST", "/collections/large/points", {"ids": [1], "with_vector": True}).json()["result"]
assert found[0]["vector"] == {}, found
deep = lambda steps: ".".join(["a"] * steps)
for path, body in [
    ("points/payload", {"payload": {"b": 1}, "points": [2], "key": deep(30_000)}), ("points/payload", {"payload": {"b": 1}, "filter": {}, "key": deep(65)}),
    ("points/payload/delete", {"keys": [deep(33)], "points": [2]}), ("points/scroll", {"with_payload": [deep(100_000)]}),
    ("points/query", {"with_payload": {"exclude": ["a" + "[]" * 100_000]}}), ("points/count", {"filter": {"must": [{"key": deep(20_000), "match": {"value": 1}}]}}),
    ("points/scroll", {"order_by": deep(33)}), ("points/query/groups", {"query": [1, 2, 3, 4], "group_by": deep(33)}), ("facet", {"key": deep(33)}),
]: refused("POST", "/collections/large/" + path, body, 400, "32 are the most")
refused("PUT", "/collections/large/index", {"field_name": deep(20_000), "field_schema": "keyword"}, 400, "32 are the most")
nested = {"b": 1}
for _ in range(40): nested = {"a": nested}
refused("POST", "/collections/large/points/payload", {"payload": nested, "points": [2], "key": deep(32)}, 400, "deep")
assert send("POST", "/collections/large/points/payload", {"payload": {"b": 1}, "points": [2], "key": deep(32)}).status_code == 200
assert send("POST", "/collections/large/points/payload", {"payload": {"c": 1}, "points": [2]}).status_code == 200
payload = send("POST", "/collections/large/points", {"ids": [2]}).json()["result"][0]["payload"]
assert set(payload) == {"n", "t", "a", "c"}, payload
many = {"must_not": [{"key": "n", "match": {"value": i}} for i in range(20_000)]}
refused("POST", "/collections/large/points/query", {"filter": many, "query": {"fusion": "rrf"}, "prefetch": [{}] * 50}, 400, "at most 10000")
refused("POST", "/collections/large/points/query", {"query": {"fusion": "rrf"}, "prefetch": [{}] * 10_000}, 400, "more than 99 prefetches")
refused("POST", "/collections/large/points/query", {"query": {"fusion": "rrf"}, "prefetch": [{"query": {"fusion": "rrf"}, "prefetch": [{}] * 40}] * 3}, 400, "more than 99 prefetches")
levels = {"query": {"fusion": "rrf"}, "prefetch": [{"limit": 3}]}
for _ in range(16): levels = {"query": {"fusion": "rrf"}, "prefetch": [levels]}
refused("POST", "/collections/large/points/query", levels, 400, "nested too deep")
most = 2**63 - 1
for query in [{"nearest": [1, 2, 3, 4], "mmr": {"diversity": 0.5}}, [1, 2, 3, 4], {"order_by": "n"}, {"sample": "random"}, {"recommend": {"positive": [1], "strategy": "best_score"}}, None]:
    for more in [{"limit": most}, {"limit": most, "offset": most}, {"limit": 3, "params": {"hnsw_ef": most}}]:
        body = {"prefetch": {"query": query, **more}, "query": [1, 2, 3, 4], "limit": 3}
        response = send("POST", "/collections/bad/points/query", body)
        if response.status_code != 200: failures.append(f"{body}: {response.status_code} {response.text[:200]}")
# The node of this suite gives no reply whose points take more than 64 KiB.
for path, body, field in [
    ("points/query", {"query": [1, 2, 3, 4], "limit": 10_000_000, "with_payload": True}, "limit"), ("points/query", {"limit": 10_000_000}, "limit"),
    ("points/query/batch", {"searches": [{"query": [1, 2, 3, 4], "limit": 200, "with_payload": True}] * 5}, "limit"),
    ("points/scroll", {"limit": 10_000_000, "with_vector": True}, "limit"), ("points/scroll", {"order_by": "n", "limit": 2000}, "limit"),
    ("points", {"ids": list(range(2000))}, "ids"), ("points/query/groups", {"query": [1, 2, 3, 4], "group_by": "n", "group_size": 2000}, "limit"),
]: refused("POST", "/collections/large/" + path, body, 400, f"what '{field}' asks for takes more than 64 KiB, the most for one reply; ask for fewer points")
assert len(send("POST", "/collections/large/points/scroll", {"limit": 300, "with_vector": True}).json()["result"]["points"]) == 300
assert send("POST", "/collections/large/points/count", {}).json()["result"]["count"] == 2000

for failure in failures: print(failure)
print(f"{len(failures)} failures")
raise SystemExit(1 if failures else 0)
