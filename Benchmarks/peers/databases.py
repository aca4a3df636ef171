"""The databases of `make bench-ingest`: each puts all points and payloads into a new place on disk, in batches of 1,000, and says how long it took.

    {"do": "load", "points": PATH.npy, "payloads": PATH.jsonl, "queries": PATH of float32, "truth": [[row, ...], ...]}
    {"do": "chromadb" or "lancedb", "place": FOLDER, "queries": 200}

The index is each one's own graph as it comes; where that finds less than 0.97 of the neighbours, more effort is tried in the searches.
"""

import json
import sys
import time

import numpy

BATCH, LIMIT, WANTED = 1000, 10, 0.97
points = payloads = queries = truth = None


def load(job):
    global points, payloads, queries, truth
    points = numpy.load(job["points"]).astype(numpy.float32)
    queries = numpy.fromfile(job["queries"], dtype=numpy.float32).reshape(-1, points.shape[1])
    with open(job["payloads"], encoding="utf-8") as file:
        payloads = [json.loads(line) for line in file]
    for payload in payloads:
        payload.pop("id", None)
    truth = [set(rows[:LIMIT]) for rows in job["truth"]]
    return {"points": len(points)}


def recall(found):
    return sum(len(truth[query] & set(rows)) for query, rows in enumerate(found)) / (len(found) * LIMIT)


def chromadb(job):
    import chromadb

    client = chromadb.PersistentClient(path=job["place"], settings=chromadb.Settings(anonymized_telemetry=False))
    start = time.monotonic()
    collection = client.create_collection("bench", configuration={"hnsw": {"space": "cosine"}}, embedding_function=None)
    for first in range(0, len(points), BATCH):
        last = min(first + BATCH, len(points))
        ids = [str(row) for row in range(first, last)]
        collection.add(ids=ids, embeddings=points[first:last], metadatas=payloads[first:last])
    inserted = time.monotonic() - start
    # The graph is up to date when a search was answered.
    collection.query(query_embeddings=queries[:1], n_results=LIMIT, include=[])
    indexed = time.monotonic() - start
    for effort in [100, 200, 400]:
        if effort > 100:
            collection.modify(configuration={"hnsw": {"ef_search": effort}})
        answer = collection.query(query_embeddings=queries[: job["queries"]], n_results=LIMIT, include=[])
        share = recall([[int(row) for row in rows] for rows in answer["ids"]])
        if share >= WANTED:
            break
    return {"inserted": inserted, "indexed": indexed, "recall": share, "settings": f"HNSW as it comes, ef_search {effort}"}


def lancedb(job):
    import lancedb.index
    import pyarrow

    def batch(first):
        last = min(first + BATCH, len(points))
        columns = {"id": pyarrow.array(range(first, last))}
        columns["vector"] = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(points[first:last].ravel()), points.shape[1])
        for key in payloads[first]:
            columns[key] = pyarrow.array([payload[key] for payload in payloads[first:last]])
        return pyarrow.table(columns)

    database = lancedb.connect(job["place"])
    start = time.monotonic()
    table = database.create_table("bench", data=batch(0))
    for first in range(BATCH, len(points), BATCH):
        table.add(batch(first))
    inserted = time.monotonic() - start
    table.create_index("vector", config=lancedb.index.HnswSq(distance_type="cosine"))
    table.wait_for_index(["vector_idx"])
    indexed = time.monotonic() - start
    for probes, effort, refine in [(20, 100, 2), (20, 200, 4), (50, 400, 10)]:
        found = [
            [
                row["id"]
                for row in table.search(query)
                .distance_type("cosine").nprobes(probes).ef(effort).refine_factor(refine).limit(LIMIT).select(["id", "_distance"]).to_list()
            ]
            for query in queries[: job["queries"]]
        ]
        share = recall(found)
        if share >= WANTED:
            break
    return {
        "inserted": inserted, "indexed": indexed, "recall": share,
        "settings": f"IVF_HNSW_SQ as it comes, {probes} probes, ef {effort}, refine {refine}",
    }


for line in sys.stdin:
    job = json.loads(line)
    print(json.dumps({"load": load, "chromadb": chromadb, "lancedb": lancedb}[job["do"]](job)), flush=True)
