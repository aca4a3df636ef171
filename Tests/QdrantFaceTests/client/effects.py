"""What the in-memory mode lacks: each call is judged by its effect. usage: effects.py URL KEY SEED"""

import hashlib
import sys

import httpx
from qdrant_client import QdrantClient, models as m
from qdrant_client.http.exceptions import UnexpectedResponse

from worlds import World

url, key, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])
headers = {"api-key": key} if key else {}
client = QdrantClient(url=url, api_key=key or None, timeout=120)
http = httpx.Client(headers=headers, timeout=120)


def everything(name):
    points, place = [], None
    while True:
        page, place = client.scroll(name, limit=100, offset=place, with_vectors=True)
        points += [point.model_dump() for point in page]
        if place is None: return points


def fails(status, call, *args, **more):
    try: call(*args, **more)
    except UnexpectedResponse as error:
        assert error.status_code == status, error
        return error.content.decode()
    raise AssertionError(f"{call.__name__} was not refused")


# Start-up: what the client asks by itself, and health for probes.
assert client.info().version.startswith("1.20.")
assert http.get(url).json()["title"] and http.get(url + "/").json()["version"]
for path in ("/healthz", "/readyz", "/livez"):
    answer = httpx.get(url + path)
    assert answer.status_code == 200 and "passed" in answer.text, "open to probes without a key"
assert http.get(url + "/metrics").status_code == 200 and "rest_responses_total" in http.get(url + "/metrics").text
if key:
    # A proxy's header takes away the trust in this machine's own user.
    stranger = {"X-Forwarded-For": "203.0.113.9"}
    for path in ("/metrics", "/collections", "/telemetry", ""):
        answer = httpx.get(url + path, headers=stranger)
        assert answer.status_code == 401 and "API key" in answer.json()["status"]["error"], path
    assert httpx.get(url + "/readyz", headers=stranger).status_code == 200
    assert httpx.get(url + "/collections", headers={"Authorization": "Bearer " + key}).status_code == 200
    assert "API key" in httpx.get(url + "/collections", headers={"api-key": "wrong"}).json()["status"]["error"]

# A collection keeps what it was made with, and what is changed later.
client.create_collection(
    "config", vectors_config={
        "a": m.VectorParams(size=4, distance=m.Distance.COSINE, on_disk=True, hnsw_config=m.HnswConfigDiff(m=24), datatype=m.Datatype.FLOAT16),
        "b": m.VectorParams(size=2, distance=m.Distance.DOT, multivector_config=m.MultiVectorConfig(comparator=m.MultiVectorComparator.MAX_SIM))},
    sparse_vectors_config={"s": m.SparseVectorParams(modifier=m.Modifier.IDF, index=m.SparseIndexParams(on_disk=True))},
    shard_number=3, on_disk_payload=False, replication_factor=2, write_consistency_factor=2,
    hnsw_config=m.HnswConfigDiff(m=32, ef_construct=64), optimizers_config=m.OptimizersConfigDiff(indexing_threshold=5, flush_interval_sec=7),
    wal_config=m.WalConfigDiff(wal_capacity_mb=64), metadata={"owner": "me", "n": [1, 2]},
    quantization_config=m.ScalarQuantization(scalar=m.ScalarQuantizationConfig(type=m.ScalarType.INT8, quantile=0.9, always_ram=True)))
config = client.get_collection("config").config
assert (config.hnsw_config.m, config.hnsw_config.ef_construct, config.hnsw_config.full_scan_threshold) == (32, 64, 10000)
assert config.params.shard_number == 3 and config.params.on_disk_payload is False and config.params.replication_factor == 2
assert config.params.vectors["a"].on_disk and config.params.vectors["a"].hnsw_config.m == 24 and config.params.vectors["a"].datatype == "float16"
assert config.params.vectors["b"].multivector_config.comparator == "max_sim" and config.params.sparse_vectors["s"].index.on_disk
assert config.optimizer_config.indexing_threshold == 5 and config.optimizer_config.flush_interval_sec == 7 and config.wal_config.wal_capacity_mb == 64
assert config.quantization_config.scalar.quantile == 0.9 and config.metadata == {"owner": "me", "n": [1, 2]}
client.update_collection(
    "config", hnsw_config=m.HnswConfigDiff(ef_construct=200), optimizers_config=m.OptimizersConfigDiff(indexing_threshold=0),
    vectors_config={"a": m.VectorParamsDiff(on_disk=False)}, quantization_config=m.Disabled.DISABLED, metadata={"owner": None, "new": True},
    collection_params=m.CollectionParamsDiff(replication_factor=1))
config = client.get_collection("config").config
assert (config.hnsw_config.m, config.hnsw_config.ef_construct) == (32, 200) and config.quantization_config is None
assert config.optimizer_config.indexing_threshold == 0 and config.optimizer_config.flush_interval_sec == 7
assert config.params.vectors["a"].on_disk is False and config.params.vectors["a"].hnsw_config.m == 24 and config.params.replication_factor == 1
assert config.metadata == {"n": [1, 2], "new": True}
fails(400, client.update_collection, "config", vectors_config={"none": m.VectorParamsDiff(on_disk=True)})

# Payload indexes are told back with how many points have a value of their type.
world = World(seed)
world.create(client)
for _ in range(10): client.upsert(world.name, [world.point() for _ in range(30)])
points = everything(world.name)
count = lambda test: sum(1 for p in points if any(test(v) for v in (lambda v: v if isinstance(v, list) else [v])(p["payload"].get(field))))
for field, schema, test in [
    ("word", m.PayloadSchemaType.KEYWORD, lambda v: isinstance(v, str)), ("num", m.IntegerIndexParams(type="integer", range=True, lookup=False), lambda v: type(v) is int),
    ("score", "float", lambda v: type(v) in (int, float)), ("flag", "bool", lambda v: type(v) is bool), ("time", "datetime", None),
    ("place", "geo", lambda v: isinstance(v, dict) and isinstance(v.get("lat"), (int, float))), ("obj.x.y", "integer", None),
    ("text", m.TextIndexParams(type="text", tokenizer=m.TokenizerType.WORD, lowercase=True), lambda v: isinstance(v, str)), ("missing", "uuid", lambda v: v is not None and False),
]:
    client.create_payload_index(world.name, field, schema, wait=True)
    index = client.get_collection(world.name).payload_schema[field]
    assert index.data_type == getattr(schema, "type", schema), index
    if test: assert index.points == count(test), (field, index, count(test))
assert client.get_collection(world.name).payload_schema["num"].params.range is True
client.delete_payload_index(world.name, "word")
assert "word" not in client.get_collection(world.name).payload_schema and "num" in client.get_collection(world.name).payload_schema
fails(400, client.create_payload_index, world.name, "a", m.KeywordIndexParams.model_construct(type="nonsense"))

# Aliases work wherever a name does, and swap at once.
client.update_collection_aliases([m.CreateAliasOperation(create_alias=m.CreateAlias(collection_name=world.name, alias_name="live"))])
assert everything("live") == points and client.get_collection("live").points_count == len(points)
fails(400, client.create_collection, "live", vectors_config=m.VectorParams(size=2, distance=m.Distance.DOT))
client.update_collection_aliases([
    m.DeleteAliasOperation(delete_alias=m.DeleteAlias(alias_name="live")),
    m.CreateAliasOperation(create_alias=m.CreateAlias(collection_name="config", alias_name="live"))])
assert client.get_collection("live").points_count == 0

# A snapshot is the collection as it was: settings, indexes and points, whatever is written later.
snapshot = client.create_snapshot(world.name)
assert [s.name for s in client.list_snapshots(world.name)] == [snapshot.name] and snapshot.size > 1000
client.upsert(world.name, [world.point() for _ in range(20)])
client.delete(world.name, [p["id"] for p in points[:5]])
assert everything(world.name) != points
location = f"{url}/collections/{world.name}/snapshots/{snapshot.name}"
content = http.get(location).content
assert len(content) == snapshot.size and hashlib.sha256(content).hexdigest() == snapshot.checksum
assert client.recover_snapshot("copy-by-url", location=location, api_key=key or None, checksum=snapshot.checksum) is True
assert everything("copy-by-url") == points
# What a URL has behind its path lets whoever knows it in, and is no part of the name that everybody sees.
assert client.recover_snapshot("copy-by-url", location=location + "?X-Amz-Signature=secret", api_key=key or None) is True
assert [s.name for s in client.list_snapshots("copy-by-url")] == [snapshot.name], client.list_snapshots("copy-by-url")
assert client.get_collection("copy-by-url").payload_schema == client.get_collection(world.name).payload_schema | {
    name: index for name, index in client.get_collection("copy-by-url").payload_schema.items()}
assert client.get_collection("copy-by-url").config.params == client.get_collection(world.name).config.params
assert client.recover_snapshot(world.name, location=f"file:///snapshots/{world.name}/{snapshot.name}") is True
assert everything(world.name) == points, "the collection itself goes back"
upload = http.post(f"{url}/collections/copy-by-upload/snapshots/upload", params={"checksum": snapshot.checksum}, files={"snapshot": ("mine.snapshot", content)})
assert upload.status_code == 200, upload.text
assert everything("copy-by-upload") == points and [s.name for s in client.list_snapshots("copy-by-upload")] == ["mine.snapshot"]
for damaged in (content[:-9], content[:200] + bytes([content[200] ^ 1]) + content[201:], content + b"x", b"APUSSNP1"):
    answer = http.post(f"{url}/collections/damaged/snapshots/upload", params={"checksum": snapshot.checksum}, files={"snapshot": ("x", damaged)})
    assert answer.status_code == 400, answer.text
for damaged in (content[:-9], content + b"x", content[: len(content) // 2]):
    assert http.post(f"{url}/collections/damaged/snapshots/upload", files={"snapshot": ("x", damaged)}).status_code == 400
assert not client.collection_exists("damaged")
fails(400, client.recover_snapshot, "config", location=f"file:///snapshots/{world.name}/{snapshot.name}")
assert client.delete_snapshot(world.name, snapshot.name) is True and client.list_snapshots(world.name) == []
assert "not found" in fails(404, client.delete_snapshot, world.name, snapshot.name)
assert client.list_full_snapshots() == []
fails(400, client.create_full_snapshot)

# The cluster's true state.
status = client.cluster_status()
assert status.status == "enabled" and str(status.peer_id) in status.peers and status.raft_info.commit > 5
before = status.raft_info.commit
client.create_collection("one more", vectors_config=m.VectorParams(size=2, distance=m.Distance.DOT), shard_number=5)
assert client.cluster_status().raft_info.commit > before
shards = client.collection_cluster_info("one more")
assert shards.shard_count == 5 and shards.peer_id == status.peer_id and [s.shard_id for s in shards.local_shards] == [0, 1, 2, 3, 4]
client.upsert("one more", [m.PointStruct(id=i, vector=[i, 1]) for i in range(500)])
shards = client.collection_cluster_info("one more")
assert sum(s.points_count for s in shards.local_shards) == 500 and all(s.points_count > 0 and s.state == "Active" for s in shards.local_shards)
assert client.list_shard_keys("one more").shard_keys == []
fails(400, client.create_shard_key, "one more", "key")
assert client.recover_current_peer() is True
assert "not known" in fails(404, client.remove_peer, 12345)
telemetry = http.get(url + "/telemetry").json()["result"]
assert telemetry["app"]["name"] == "apus" and telemetry["collections"]["number_of_collections"] == len(client.get_collections().collections)

# A write that is sent again with its key has no second effect.
again = {**headers, "Idempotency-Key": "once"}
for _ in range(2):
    answer = http.post(f"{url}/collections/one%20more/points/delete", json={"filter": {"must": [{"has_id": [1, 2, 3]}]}}, headers=again)
    assert answer.status_code == 200
client.upsert("one more", [m.PointStruct(id=1, vector=[9, 9])])
assert http.post(f"{url}/collections/one%20more/points/delete", json={"filter": {"must": [{"has_id": [1, 2, 3]}]}}, headers=again).status_code == 200
assert client.count("one more").count == 498
assert http.put(f"{url}/collections/one%20more/points", json={"points": [{"id": 1, "vector": [1, 2]}]}).json()["result"]["status"] == "acknowledged"
print("all effects are there")
