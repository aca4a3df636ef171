"""The other libraries of `make bench-vectors`: builds and searches what it is told, a JSON object per line, and answers with CPU seconds.

    {"do": "load", "points": PATH, "queries": PATH}              float32 rows of length 1, without a header, and their dimension
    {"do": "build", "peer": "hnswlib", "m": 16, "ef": 128, "threads": 2}
    {"do": "search", "peer": "hnswlib", "m": 16, "ef_build": 128, "ef": 64, "queries": [0, 2, ...], "k": 10}
"""

import json
import sys
import time

import faiss
import hnswlib
import numpy

indexes = {}
points = queries = None


def load(job):
    global points, queries
    points = numpy.fromfile(job["points"], dtype=numpy.float32).reshape(-1, job["dimension"])
    queries = numpy.fromfile(job["queries"], dtype=numpy.float32).reshape(-1, job["dimension"])
    return {"points": len(points), "queries": len(queries)}


def build(job):
    start = time.process_time()
    if job["peer"] == "hnswlib":
        index = hnswlib.Index(space="ip", dim=points.shape[1])
        index.init_index(max_elements=len(points), M=job["m"], ef_construction=job["ef"])
        index.add_items(points, num_threads=job["threads"])
        size = index.index_file_size()
    else:
        faiss.omp_set_num_threads(job["threads"])
        index = faiss.IndexHNSWFlat(points.shape[1], job["m"], faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = job["ef"]
        index.add(points)
        size = len(faiss.serialize_index(index))
    indexes[job["peer"], job["m"], job["ef"]] = index
    return {"cpu": time.process_time() - start, "bytes": size}


def search(job):
    index = indexes[job["peer"], job["m"], job["ef_build"]]
    wanted = queries[job["queries"]]
    if job["peer"] == "hnswlib":
        index.set_ef(job["ef"])
        start = time.process_time()
        rows, _ = index.knn_query(wanted, k=job["k"], num_threads=1)
    else:
        faiss.omp_set_num_threads(1)
        index.hnsw.efSearch = job["ef"]
        start = time.process_time()
        _, rows = index.search(wanted, job["k"])
    return {"cpu": time.process_time() - start, "rows": rows.tolist()}


for line in sys.stdin:
    job = json.loads(line)
    print(json.dumps({"load": load, "build": build, "search": search}[job["do"]](job)), flush=True)
