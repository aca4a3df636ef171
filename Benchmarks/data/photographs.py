"""Descriptors of image patches, as photographs are matched by: 120,000 points of 128 dimensions, and 1,000 queries from other photographs.

    photographs.py OUTPUT PACKAGE.deb

The photographs are those of Debian's package mate-backgrounds. A descriptor is SIFT's (Lowe 2004), upright: gradients of a patch of 16 x 16 pixels
in 4 x 4 cells of 8 directions, cut at 0.2, of length 1. It says what is at a place of a picture, without knowing what it is: small whole
numbers from a histogram, no negative ones, clustered by edges and corners, nothing like a sentence's embedding. Same input, same bytes.

Writes points.f16.npy, points.jsonl, queries.f16.npy and neighbours.i32.npy, as APUS_BENCH_DATA wants them.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy
from PIL import Image

POINTS, QUERIES, NEIGHBOURS = 120_000, 1_000, 100
CELLS, DIRECTIONS, CELL = 4, 8, 4  # cells on a side, directions of a cell, pixels of a cell's side
SCALES = [1024, 512, 256]  # longest side of the picture that patches are taken from
SEED = 20260101


def blurred(channels):
    """Each place of a cell counts for its neighbours too, the less the farther: a triangle as wide as two cells."""
    weights = numpy.minimum(numpy.arange(1, 2 * CELL), numpy.arange(2 * CELL - 1, 0, -1)) / CELL
    for axis in (1, 2):
        padded = numpy.pad(channels, [(CELL - 1, CELL - 1) if number == axis else (0, 0) for number in range(3)])
        length = channels.shape[axis]
        channels = sum(
            weight * padded.take(range(shift, shift + length), axis=axis) for shift, weight in enumerate(weights)
        )
    return channels


def descriptors(picture, random, count):
    """Up to `count` places of a grey picture where something is to be seen, and their descriptors."""
    down, right = numpy.gradient(picture)
    strength, angle = numpy.hypot(down, right), numpy.arctan2(down, right) / (2 * numpy.pi) % 1 * DIRECTIONS
    channels = numpy.zeros((DIRECTIONS, *picture.shape), dtype=numpy.float32)
    low, part = numpy.floor(angle).astype(int) % DIRECTIONS, angle % 1
    rows, columns = numpy.indices(picture.shape)
    numpy.add.at(channels, (low, rows, columns), strength * (1 - part))
    numpy.add.at(channels, ((low + 1) % DIRECTIONS, rows, columns), strength * part)
    channels = blurred(channels)
    margin = CELLS * CELL // 2
    places = numpy.argwhere(numpy.ones((picture.shape[0] - 2 * margin, picture.shape[1] - 2 * margin), dtype=bool)) + margin
    places = places[random.permutation(len(places))[: 4 * count]]
    offsets = (numpy.arange(CELLS) - (CELLS - 1) / 2) * CELL
    found = numpy.concatenate(
        [channels[:, places[:, 0] + int(y), places[:, 1] + int(x)] for y in offsets for x in offsets]
    ).T  # a row for each place
    length = numpy.linalg.norm(found, axis=1)
    seen = length > 100  # not flat: a plain sky has no descriptor
    found, places = found[seen] / length[seen, None], places[seen]
    found = numpy.minimum(found, 0.2)
    return places[:count], (found / numpy.linalg.norm(found, axis=1, keepdims=True))[:count]


def nearest(points, queries):
    """The rows of the greatest inner products over the float16 values."""
    answer = numpy.empty((len(queries), NEIGHBOURS), dtype=numpy.int32)
    points = points.astype(numpy.float32)
    for start in range(0, len(queries), 100):
        scores = queries[start : start + 100].astype(numpy.float32) @ points.T
        answer[start : start + 100] = numpy.argsort(-scores, axis=1, kind="stable")[:, :NEIGHBOURS]
    return answer


def main(output, package):
    random = numpy.random.default_rng(SEED)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
        paths = sorted(path for path in pathlib.Path(folder).rglob("*") if path.suffix in (".jpg", ".png") and not path.is_symlink())
        every, held = [], []
        for number, path in enumerate(paths):
            with Image.open(path) as file:
                grey = file.convert("L")
            (held if number % 8 == 7 else every).append((path.stem, grey))
        sets = []
        for pictures, wanted in ((every, POINTS), (held, QUERIES)):
            share = 4 * wanted // (len(pictures) * len(SCALES)) + 1  # some pictures are flat
            labels, vectors = [], []
            for name, grey in pictures:
                for side in SCALES:
                    scale = side / max(grey.size)
                    small = grey.resize([max(32, round(length * scale)) for length in grey.size], Image.Resampling.BOX)
                    places, found = descriptors(numpy.asarray(small, dtype=numpy.float32), random, share)
                    labels += [{"picture": name, "side": side, "x": int(x), "y": int(y)} for y, x in places]
                    vectors.append(found.astype(numpy.float16))
            vectors = numpy.concatenate(vectors)
            chosen = random.permutation(len(vectors))[:wanted]
            if len(chosen) < wanted:
                sys.exit(f"{package} gives {len(chosen)} descriptors only")
            sets.append(([labels[row] for row in chosen], vectors[chosen]))
            print(f"{len(pictures)} pictures, {len(vectors)} descriptors, {wanted} taken", flush=True)
    (labels, points), (_, queries) = sets
    output = pathlib.Path(output)
    output.mkdir(parents=True, exist_ok=True)
    with open(output / "points.jsonl", "w", encoding="utf-8") as file:
        for row, label in enumerate(labels):
            file.write(json.dumps({"id": row, **label}) + "\n")
    numpy.save(output / "points.f16.npy", points)
    numpy.save(output / "queries.f16.npy", queries)
    numpy.save(output / "neighbours.i32.npy", nearest(points, queries))
    print(f"{len(points)} points and {len(queries)} queries of {points.shape[1]} dimensions in {output}")


main(*sys.argv[1:])
