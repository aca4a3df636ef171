"""The other libraries of `make bench-vectors`: builds and searches what it is told, a JSON object per line, and answers with CPU seconds.

    {"do": "load", "points": PATH, "queries": PATH, "dimension": D}      float32 rows of length 1, without a header
    {"do": "filters", "masks": PATH}                                     a byte for each point, filter after filter
    {"do": "build", "peer": "hnswlib", "m": 16, "ef": 128, "threads": 2}
    {"do": "search", "peer": "hnswlib", "m": 16, "ef_build": 128, "ef": 64, "queries": [0, 2, ...], "k": 10, "filter": 3,
     "times": 1}
    {"do": "scan", "queries": [0, 2, ...], "k": 10, "filter": 3}         exact, over the points that pass alone
"""

import json
import sys
import time

import faiss
import hnswlib
import numpy
import usearch.index

indexes, prepared = {}, {}
points = queries = masks = flat = None


def load(job):
    global points, queries, flat
    points = numpy.fromfile(job["points"], dtype=numpy.float32).reshape(-1, job["dimension"])
    queries = numpy.fromfile(job["queries"], dtype=numpy.float32).reshape(-1, job["dimension"])
    flat = faiss.IndexFlatIP(points.shape[1])
    return {"points": len(points), "queries": len(queries)}


def filters(job):
    global masks
    masks = numpy.fromfile(job["masks"], dtype=numpy.uint8).reshape(-1, len(points)).astype(bool)
    if flat.ntotal == 0:
        flat.add(points)
    prepared.clear()
    return {"filters": len(masks)}


def selector(kind, number):
    """A filter as each library wants it, made once and not timed."""
    if (kind, number) not in prepared:
        mask = masks[number]
        if kind == "rows":
            made = faiss.IDSelectorArray(numpy.flatnonzero(mask))
        elif kind == "faiss":
            made = faiss.IDSelectorBitmap(numpy.packbits(mask, bitorder="little"))
        else:
            made = mask.tolist().__getitem__  # the quickest function of Python there is
        prepared[kind, number] = made
    return prepared[kind, number]


def build(job):
    start, wall = time.process_time(), time.monotonic()
    if job["peer"] == "hnswlib":
        index = hnswlib.Index(space="ip", dim=points.shape[1])
        index.init_index(max_elements=len(points), M=job["m"], ef_construction=job["ef"])
        index.add_items(points, num_threads=job["threads"])
        size = index.index_file_size()
    elif job["peer"] == "usearch":
        index = usearch.index.Index(
            ndim=points.shape[1], metric="ip", dtype="f32", connectivity=job["m"], expansion_add=job["ef"]
        )
        index.add(numpy.arange(len(points)), points, threads=job["threads"])
        size = index.serialized_length
    else:
        faiss.omp_set_num_threads(job["threads"])
        index = faiss.IndexHNSWFlat(points.shape[1], job["m"], faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = job["ef"]
        index.add(points)
        size = len(faiss.serialize_index(index))
    indexes[job["peer"], job["m"], job["ef"]] = index
    return {"cpu": time.process_time() - start, "wall": time.monotonic() - wall, "bytes": size}


def search(job):
    index = indexes[job["peer"], job["m"], job["ef_build"]]
    wanted, number, times = queries[job["queries"]], job.get("filter"), range(job["times"])
    if job["peer"] == "hnswlib":
        index.set_ef(job["ef"])
        passes = None if number is None else selector("hnswlib", number)
        start, wall = time.process_time(), time.monotonic()
        try:
            for _ in times:
                rows, _ = index.knn_query(wanted, k=job["k"], num_threads=1, filter=passes)
        except RuntimeError:  # it found fewer than k for a query, and then gives none for any
            rows = numpy.empty((len(wanted), 0), dtype=int)
    elif job["peer"] == "usearch":
        index.expansion_search = job["ef"]
        start, wall = time.process_time(), time.monotonic()
        for _ in times:
            rows = index.search(wanted, job["k"], threads=1).keys
    else:
        faiss.omp_set_num_threads(1)
        settings = faiss.SearchParametersHNSW(efSearch=job["ef"])
        if number is not None:
            settings.sel = selector("faiss", number)
        start, wall = time.process_time(), time.monotonic()
        for _ in times:
            _, rows = index.search(wanted, job["k"], params=settings)
    cpu, wall = (time.process_time() - start) / len(times), (time.monotonic() - wall) / len(times)
    return {"cpu": cpu, "wall": wall, "rows": [[int(row) for row in found if row >= 0] for found in rows]}


def scan(job):
    faiss.omp_set_num_threads(1)
    settings = faiss.SearchParameters(sel=selector("rows", job["filter"]))
    start = time.process_time()
    _, rows = flat.search(queries[job["queries"]], job["k"], params=settings)
    return {"cpu": time.process_time() - start, "rows": [[int(row) for row in found if row >= 0] for found in rows]}


jobs = {"load": load, "filters": filters, "build": build, "search": search, "scan": scan}
for line in sys.stdin:
    job = json.loads(line)
    print(json.dumps(jobs[job["do"]](job)), flush=True)
