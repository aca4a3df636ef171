"""Compares every answer of a server with that of qdrant-client's in-memory mode, for the same random calls.

usage: compare.py URL KEY SEED CASES"""

import math
import sys
import time
import warnings
from enum import Enum

from pydantic import BaseModel
from qdrant_client import QdrantClient, models as m
from qdrant_client.http.exceptions import UnexpectedResponse

from worlds import World

warnings.filterwarnings("ignore")
MANY = 10_000


class Difference(Exception):
    pass


HIDDEN = {"version", "shard_key", "operation_id", "time", "usage"}


def plain(value, is_payload=False):
    """Without what each side makes up for itself."""
    if isinstance(value, Enum): return value.value
    if isinstance(value, BaseModel):
        return {key: plain(item, key == "payload") for key, item in value.__dict__.items() if key not in HIDDEN and item is not None}
    if isinstance(value, dict):
        return {key: plain(item, is_payload or key == "payload") for key, item in value.items() if is_payload or key not in HIDDEN}
    if isinstance(value, (list, tuple)): return [plain(item, is_payload) for item in value]
    return value


def close(a, b, tolerance=2e-4):
    if isinstance(a, bool) or isinstance(b, bool): return a is b
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return a == b or math.isclose(a, b, rel_tol=tolerance, abs_tol=2e-5)
    return a == b


def same(a, b, path="", is_exact=False):
    """Where two plain values differ, or nothing. Payloads are equal exactly, numbers of vectors and scores nearly."""
    if isinstance(a, dict) and isinstance(b, dict):
        if set(a) != set(b): return f"{path}: {sorted(a)} and {sorted(b)}"
        return next((d for key in a if (d := same(a[key], b[key], f"{path}.{key}", is_exact or key == "payload"))), None)
    if isinstance(a, list) and isinstance(b, list):
        if len(a) != len(b): return f"{path}: {len(a)} and {len(b)} elements: {a} and {b}"
        return next((d for i in range(len(a)) if (d := same(a[i], b[i], f"{path}[{i}]", is_exact))), None)
    if is_exact: return None if a == b and type(a) is type(b) else f"{path}: {a!r} and {b!r}"
    return None if close(a, b) else f"{path}: {a!r} and {b!r}"


def scores(value):
    """Those of all points of a reply that is ranked, in their order."""
    if isinstance(value, dict): return [value["score"]] if "score" in value else [s for item in value.values() for s in scores(item)]
    return [s for item in value for s in scores(item)] if isinstance(value, list) else []


class Pair:
    """The same call on both sides."""

    def __init__(self, remote, local):
        self.remote, self.local, self.calls, self.refused = remote, local, 0, 0
        self.kinds = {}
        # Of the neighbours that searches of graphs were to find, how many they found; and worlds with segments, and with graphs.
        self.wanted, self.found, self.sealed, self.graphs = 0, 0, 0, 0

    def both(self, name, *args, **more):
        answers = []
        for client in (self.remote, self.local):
            try:
                answers.append((getattr(client, name)(*args, **more), None))
            except UnexpectedResponse as error:
                if error.status_code not in (400, 404, 409, 422): raise
                answers.append((None, error))
            except (ValueError, KeyError, AssertionError, IndexError, TypeError, AttributeError, NotImplementedError) as error:
                if client is self.remote: raise
                answers.append((None, error))
        self.calls += 1
        self.kinds[name] = self.kinds.get(name, 0) + 1
        self.refused += answers[0][1] is not None and answers[1][1] is not None
        (remote, remote_error), (local, local_error) = answers
        if (remote_error is None) != (local_error is None):
            raise Difference(f"{name}: {remote_error or plain(remote)!r} and {local_error!r} or {plain(local)!r}")
        return None if remote_error else (remote, local)

    def equal(self, name, *args, **more):
        answers = self.both(name, *args, **more)
        if not answers: return
        remote, local = plain(answers[0]), plain(answers[1])
        # Of equal scores either may come first.
        if (difference := same(remote, local)) and not (scores(remote) and same(scores(remote), scores(local)) is None):
            raise Difference(f"{name}: {difference}")

    def ranked(self, collection, limit, offset, **query):
        """Points in the order of scores or values: of equal ones either may come first, and a limit may cut off any of them."""
        answers = self.both("query_points", collection, limit=limit, offset=offset, **query)
        if not answers: return
        found = plain(answers[0])["points"]
        whole = plain(self.local.query_points(collection, limit=MANY, offset=0, **query))["points"]
        self.compare(found, whole, limit, offset)

    def compare(self, found, whole, limit, offset=0, is_exact=True):
        expected = whole[offset:offset + limit]
        if len(found) != len(expected): raise Difference(f"query: {len(found)} and {len(expected)} points")
        by_key = {(point["id"], point.get("order_value")): point for point in whole}
        for index, (point, other) in enumerate(zip(found, expected)):
            if is_exact and not close(point["score"], other["score"]) or not close(point.get("order_value"), other.get("order_value")):
                raise Difference(f"query: score {point} and {other} at {index}")
            twin = by_key.get((point["id"], point.get("order_value")))
            if twin is None: raise Difference(f"query: {point} is not among {sorted(map(str, by_key))}")
            if difference := same(point, twin, "query"): raise Difference(difference)
        if len({(p["id"], p.get("order_value")) for p in found}) != len(found): raise Difference("query: a point comes twice")


    def approximate(self, collection, limit, **query):
        """Of a search that may miss some all else holds: as many points as match, each of them one that does, with its score."""
        answers = self.both("query_points", collection, limit=limit, **query)
        found = plain(answers[0])["points"]
        whole = plain(self.local.query_points(collection, limit=MANY, **query))["points"]
        self.compare(found, whole, limit, is_exact=False)
        scores = [point["score"] for point in whole[:limit]]
        self.wanted += len(scores)
        for score in (point["score"] for point in found):
            twin = next((i for i, other in enumerate(scores) if close(score, other)), None)
            if twin is not None: self.found += 1; scores.pop(twin)

    def until_sealed(self, world):
        """Waits until the server holds most points in segments: a large world's in one that has a graph."""
        end = time.time() + 60
        while True:
            info = self.remote.get_collection(world.name)
            if info.segments_count > 0 and (not world.is_large or info.indexed_vectors_count > 2048): break
            if time.time() > end: raise Difference(f"not sealed in a minute: {info}")
            time.sleep(0.05)
        self.sealed += 1
        self.graphs += world.is_large


def mutate(world, pair, name):
    r = world.random
    selector = lambda: world.filter() if r.random() < 0.4 else world.ids()
    match r.randint(0, 11):
        case 0 | 1: pair.equal("upsert", name, [world.point() for _ in range(r.randint(1, 20))], wait=True)
        case 2: pair.equal("upsert", name, world.batch(), wait=True)
        case 3: pair.equal("delete", name, world.ids(3) if r.random() < 0.7 else m.Filter(must=[world.condition(), world.condition()]), wait=True)
        case 4: pair.equal("set_payload", name, world.payload(), selector(), wait=True)
        case 5: pair.equal("set_payload", name, {"n": r.randint(0, 9), "gone": None}, selector(), key=r.choice(
            ["obj", "obj.x", "items[]", "items[0]", "new.deep", "word", "obj.list[].k", "odd[]", '"a.b"']), wait=True)
        case 6: pair.equal("overwrite_payload", name, world.payload(), selector(), wait=True)
        case 7: pair.equal("delete_payload", name, [world.key() for _ in range(r.randint(1, 3))], selector(), wait=True)
        case 8: pair.equal("clear_payload", name, world.ids(2), wait=True)
        case 9: pair.equal("update_vectors", name, [m.PointVectors(id=id, vector=world.vectors(all_fields=True)) for id in world.ids()], wait=True)
        case 10: pair.equal("delete_vectors", name, r.sample(world.fields(), 1), world.ids(3) if r.random() < 0.7 else world.filter(), wait=True)
        case 11: pair.equal("batch_update_points", name, [
            m.UpsertOperation(upsert=m.PointsList(points=[world.point() for _ in range(3)])),
            m.SetPayloadOperation(set_payload=m.SetPayload(payload={"batch": r.randint(0, 9)}, filter=world.filter())),
            m.UpsertOperation(upsert=m.PointsBatch(batch=world.batch())),
            m.OverwritePayloadOperation(overwrite_payload=m.SetPayload(payload=world.payload(), filter=world.filter())),
            m.DeletePayloadOperation(delete_payload=m.DeletePayload(keys=["batch"], filter=world.filter())),
            m.ClearPayloadOperation(clear_payload=m.FilterSelector(filter=m.Filter(must=[world.condition(), world.condition()]))),
            m.DeleteVectorsOperation(delete_vectors=m.DeleteVectors(vector=world.fields()[-1:], filter=m.Filter(must=[world.condition(), world.condition()]))),
            m.DeleteOperation(delete=m.PointIdsList(points=world.ids(2))),
        ], wait=True)


def ask(world, pair, name):
    r = world.random
    match r.randint(0, 12 if world.is_large else 10):
        case 11 | 12:
            field = r.choice(list(world.dense))
            pair.approximate(name, r.randint(1, 20), query=world.vector(field), using=field or None, query_filter=world.maybe_filter())
        case 0: pair.equal("retrieve", name, world.ids(8), with_payload=world.with_payload(), with_vectors=world.with_vectors())
        case 1: pair.equal("count", name, world.maybe_filter())
        case 2: pair.equal("facet", name, world.key(), facet_filter=world.maybe_filter(), limit=r.randint(1, 20))
        case 3: pair.equal("scroll", name, world.maybe_filter(), limit=r.randint(1, 20), offset=r.choice([None, world.id()]),
                           with_payload=world.with_payload(), with_vectors=world.with_vectors())
        case 4: ordered(world, pair, name)
        case 5: groups(world, pair, name)
        case 6: fused(world, pair, name)
        case 7: batch(world, pair, name)
        case 8: sample(world, pair, name)
        case _:
            field = r.choice(world.fields())
            kind, query = world.query(field)
            threshold = round(r.uniform(-1.5, 2.5), 3) + 0.00031 if kind not in ("order", "none") and r.random() < 0.25 else None
            more = dict(query=query, using=field or None, query_filter=world.maybe_filter(), score_threshold=threshold,
                        with_payload=world.with_payload(), with_vectors=world.with_vectors(), search_params=world.params)
            limit, offset = r.randint(1, 15), r.choice([0, 0, r.randint(0, 5)])
            if kind == "mmr": pair.equal("query_points", name, limit=limit, offset=offset, **more)
            else: pair.ranked(name, limit, offset, **more)


def ordered(world, pair, name):
    order, filter, limit = world.order(), world.maybe_filter(), world.random.randint(1, 15)
    more = dict(scroll_filter=filter, order_by=order, with_payload=world.with_payload())
    answers = pair.both("scroll", name, limit=limit, **more)
    if not answers: return
    found = plain(answers[0][0])
    whole = plain(pair.local.scroll(name, limit=MANY, **more)[0])
    if [p["order_value"] for p in found] != [p["order_value"] for p in whole[:limit]]: raise Difference("scroll: other values")
    known = [repr(p) for p in whole]
    for point in found:
        twin = next((p for p in whole if p["id"] == point["id"] and p["order_value"] == point["order_value"]), None)
        if twin is None or (difference := same(point, twin)): raise Difference(f"scroll: {point} is not among {known}")


def groups(world, pair, name):
    r = world.random
    field = r.choice(list(world.dense))
    kind, query = world.query(field, is_scored_only=True, without_ties=True)
    # A second collection gives what belongs to the groups.
    lookup = r.choice([None, None, m.WithLookup(collection=name, with_payload=r.choice([True, ["word"], None]), with_vectors=r.choice([None, False, True])), name])
    pair.equal("query_points_groups", name, query=query, using=field or None, query_filter=world.maybe_filter(),
               group_by=r.choice(["word", "num", "items[].n", "flag", "obj.x.y", "odd", "missing"]), limit=r.randint(1, 6), group_size=r.randint(1, 4),
               with_payload=world.with_payload(), with_vectors=world.with_vectors(), with_lookup=lookup, search_params=world.params)


def fused(world, pair, name):
    r = world.random
    prefetch = [world.prefetch() for _ in range(r.randint(1, 3))]
    kind = r.choice(["rrf", "weighted", "dbsf", "rescore"])
    field = r.choice(world.fields())
    using = None
    match kind:
        case "rrf": query = m.FusionQuery(fusion=m.Fusion.RRF)
        case "dbsf": query = m.FusionQuery(fusion=m.Fusion.DBSF)
        case "weighted": query = m.RrfQuery(rrf=m.Rrf(k=r.choice([None, 1, 7, 60]), weights=r.choice([None, [round(r.uniform(0.1, 3), 3) for _ in prefetch]])))
        case _:
            _, query = world.query(field, is_scored_only=True)
            using = field or None
    threshold = round(r.uniform(0, 0.5), 3) + 0.00031 if r.random() < 0.2 else None
    pair.ranked(name, r.randint(1, 12), r.choice([0, r.randint(0, 3)]), prefetch=prefetch, query=query, using=using, score_threshold=threshold,
                query_filter=world.maybe_filter(), with_payload=world.with_payload(), with_vectors=world.with_vectors(), search_params=world.params)


def batch(world, pair, name):
    requests = []
    for _ in range(world.random.randint(1, 4)):
        field = world.random.choice(list(world.dense))
        _, query = world.query(field, is_scored_only=True, without_ties=True)
        requests.append(m.QueryRequest(query=query, using=field or None, filter=world.maybe_filter(), limit=world.random.randint(1, 8), with_payload=True, params=world.params))
    pair.equal("query_batch_points", name, requests)


def sample(world, pair, name):
    filter, limit = world.maybe_filter(), world.random.randint(1, 70)
    answers = pair.both("query_points", name, query=m.SampleQuery(sample=m.Sample.RANDOM), query_filter=filter, limit=limit, with_payload=False)
    if not answers: return
    found, whole = answers[0].points, pair.local.scroll(name, filter, limit=MANY)[0]
    ids = {p.id for p in found}
    if len(ids) != len(found) or len(found) != min(limit, len(whole)) or not ids <= {p.id for p in whole}: raise Difference("sample: other points")


def collections(world, pair):
    """Aliases, existence, and what is told of a collection."""
    r = world.random
    aliases = ["alias-1", "alias-2", "alias-3"]
    actions = []
    for _ in range(r.randint(1, 3)):
        match r.randint(0, 3):
            case 0 | 1: actions.append(m.CreateAliasOperation(create_alias=m.CreateAlias(collection_name=r.choice([world.name, world.name, "no such"]), alias_name=r.choice(aliases))))
            case 2: actions.append(m.DeleteAliasOperation(delete_alias=m.DeleteAlias(alias_name=r.choice(aliases))))
            case 3: actions.append(m.RenameAliasOperation(rename_alias=m.RenameAlias(old_alias_name=r.choice(aliases), new_alias_name=r.choice(aliases + [world.name]))))
    pair.equal("update_collection_aliases", actions)
    for name, args in [("get_aliases", []), ("get_collection_aliases", [world.name])]:
        answers = pair.both(name, *args)
        listed = [sorted((a.alias_name, a.collection_name) for a in answer.aliases) for answer in answers]
        if listed[0] != listed[1]: raise Difference(f"{name}: {listed}")
    for name in aliases + [world.name, "no such"]: pair.equal("collection_exists", name)
    remote, local = pair.both("get_collection", r.choice([world.name] + [a for a, _ in listed[0]]))
    for part in (lambda i: i.points_count, lambda i: i.status, lambda i: i.config.params.vectors, lambda i: i.config.params.sparse_vectors):
        if difference := same(plain(part(remote)), plain(part(local)), "get_collection"): raise Difference(difference)
    names = [sorted(c.name for c in answer.collections) for answer in pair.both("get_collections")]
    if names[0] != names[1]: raise Difference(f"get_collections: {names}")
    return [world.name] + [alias for alias, _ in listed[0]]


def main():
    url, key, seed, cases = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    pair = Pair(QdrantClient(url=url, api_key=key or None, timeout=60), QdrantClient(":memory:"))
    start, done = time.time(), 0
    while done < cases:
        world_seed = seed + done
        world = World(world_seed)
        try:
            if world.create(pair.remote) is not True or world.create(pair.local) is not True: raise Difference("create")
            for field, kind in world.indexes: pair.remote.create_payload_index(world.name, field, kind, wait=True)
            points = world.first_points()
            for first in range(0, len(points), 500): pair.equal("upsert", world.name, points[first:first + 500], wait=True)
            # Half of the small ones are sealed by whiles, while they are asked.
            if world.is_large or world.random.random() < 0.5: pair.until_sealed(world)
            names = [world.name]
            for case in range(min(10 if world.is_large else 25, cases - done)):
                mutate(world, pair, world.random.choice(names))
                if case % 6 == 0: names = collections(world, pair)
                for _ in range(6): ask(world, pair, world.random.choice(names))
                done += 1
            pair.equal("scroll", world.name, limit=MANY, with_payload=True, with_vectors=True)
            pair.equal("delete_collection", world.name)
            pair.equal("delete_collection", world.name)
        except Exception as error:
            print(f"seed {world_seed}, case {case}: {type(error).__name__}: {str(error)[:2500]}")
            raise SystemExit(1)
    if pair.found < 0.95 * pair.wanted:
        print(f"searches of graphs found {pair.found} of {pair.wanted} neighbours")
        raise SystemExit(1)
    print(f"{pair.sealed} collections sealed, {pair.graphs} with graphs, in which {pair.found} of {pair.wanted} neighbours were found")
    print(f"{done} cases, {pair.calls} calls compared ({pair.refused} refused by both) in {time.time() - start:.0f} s: {dict(sorted(pair.kinds.items()))}")


main()
