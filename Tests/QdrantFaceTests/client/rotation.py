"""What one node has acknowledged the next one's query finds, at once. usage: rotation.py COUNT KEY URL..."""

import sys

from qdrant_client import QdrantClient, models as m

count, key, urls = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
clients = [QdrantClient(url=url, api_key=key, timeout=120) for url in urls]
clients[0].create_collection(
    "rotation", vectors_config=m.VectorParams(size=2, distance=m.Distance.EUCLID), shard_number=6, replication_factor=2)
misses = []
for number in range(count):
    vector = [number * 10.0, 1.0]
    clients[number % len(clients)].upsert("rotation", [m.PointStruct(id=number, vector=vector)])
    found = clients[(number + 1) % len(clients)].query_points("rotation", query=vector, limit=1).points
    if [point.id for point in found] != [number]: misses.append(number)
print(f"{count} searches, {len(misses)} misses {misses[:10]}")
sys.exit(1 if misses else 0)
