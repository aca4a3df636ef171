#!/usr/bin/env python3
"""Cuts the sample in this folder out of the full set of WordNet embeddings.

    make_sample.py DATA_DIRECTORY OUTPUT_DIRECTORY

DATA_DIRECTORY holds wordnet.jsonl and wordnet-minilm.f16.npy (117,659 x 384, float16, row = id), queries.json and queries.f16.npy
(1,000 example sentences embedded the same way) and neighbours.i32.npy (1,000 x 100 exact nearest rows of each query).

The choice is the same at every run: for each part of speech, words with many meanings first (they are the common ones), at most two
meanings each; and the ten nearest rows of the three queries, so that a search of the sample finds what a search of the whole set
would. Only the standard library is needed.
"""

import ast
import collections
import json
import pathlib
import struct
import sys

QUOTAS = {"noun": 2300, "verb": 1200, "adj": 1000, "adv": 470}
QUERIES = [384, 616, 960]  # rows of queries.json
MEANINGS_PER_WORD = 2
# Glosses that WordNet itself marks as insulting or obscene are not what an example should show.
MARKED = ("slur", "offensive", "disparag", "obscen", "vulgar", "derogat", "pejorative", "sexual", "genital", "copulat")


def read_npy(path):
    """The header's dictionary and the bytes after it (format 1.0 of NumPy's .npy)."""
    data = path.read_bytes()
    assert data[:8] == b"\x93NUMPY\x01\x00", f"{path} is not an .npy file of version 1.0"
    (length,) = struct.unpack("<H", data[8:10])
    header = ast.literal_eval(data[10 : 10 + length].decode("latin-1"))
    assert not header["fortran_order"]
    return header, memoryview(data)[10 + length :]


def write_npy(path, descr, rows, columns, data):
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': ({rows}, {columns}), }}"
    header += " " * (-(10 + len(header) + 1) % 64) + "\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode("latin-1") + data)


def choose(points, required):
    meanings = collections.Counter((p["pos"], p["lemma"].lower()) for p in points)
    chosen = set(required)
    for pos, quota in QUOTAS.items():
        taken = collections.Counter()
        candidates = [
            p
            for p in points
            if p["pos"] == pos
            and p["lemma"].isascii() and p["lemma"].isalpha() and p["lemma"].islower()
            and 20 <= len(p["text"]) <= 160
            and not any(word in p["text"].lower() for word in MARKED)
        ]
        candidates.sort(key=lambda p: (-meanings[p["pos"], p["lemma"]], p["id"]))
        for p in candidates:
            if quota == 0:
                break
            if taken[p["lemma"]] < MEANINGS_PER_WORD and p["id"] not in chosen:
                taken[p["lemma"]] += 1
                chosen.add(p["id"])
                quota -= 1
    return sorted(chosen)


def main(source, target):
    points = [json.loads(line) for line in (source / "wordnet.jsonl").open(encoding="utf-8")]
    header, vectors = read_npy(source / "wordnet-minilm.f16.npy")
    query_header, query_vectors = read_npy(source / "queries.f16.npy")
    neighbour_header, neighbour_bytes = read_npy(source / "neighbours.i32.npy")
    assert header["descr"] == query_header["descr"] == "<f2" and neighbour_header["descr"] == "<i4"
    texts = json.load((source / "queries.json").open(encoding="utf-8"))
    dimension = header["shape"][1]
    width = 2 * dimension

    nearest = struct.unpack(f"<{len(neighbour_bytes) // 4}i", neighbour_bytes)
    per_query = neighbour_header["shape"][1]
    required = {row for query in QUERIES for row in nearest[query * per_query : query * per_query + 10]}

    rows = choose(points, required)
    write_npy(
        target / "points.f16.npy", "<f2", len(rows), dimension,
        b"".join(bytes(vectors[row * width : (row + 1) * width]) for row in rows))
    with (target / "points.jsonl").open("w", encoding="utf-8") as lines:
        for row in rows:
            lines.write(json.dumps(points[row], ensure_ascii=False) + "\n")
    write_npy(
        target / "queries.f16.npy", "<f2", len(QUERIES), dimension,
        b"".join(bytes(query_vectors[query * width : (query + 1) * width]) for query in QUERIES))
    (target / "queries.txt").write_text("".join(texts[query] + "\n" for query in QUERIES), encoding="utf-8")
    print(f"{len(rows)} points, {len(QUERIES)} queries")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
