"""Random collections, points, payloads, filters and queries, all from one seed."""

import random
import uuid
from datetime import datetime, timedelta, timezone

from qdrant_client import models as m

WORDS = ["alpha", "Beta", "gamma", "delta-force", "über", "naïve", "x1", "42", "Ωmega", "snow white"]
METRICS = [m.Distance.COSINE, m.Distance.DOT, m.Distance.EUCLID, m.Distance.MANHATTAN]
EPOCH = datetime(2024, 1, 1, tzinfo=timezone.utc)


class World:
    """One collection: what it is made with, and random things about it."""

    def __init__(self, seed: int):
        self.random = random.Random(seed)
        r = self.random
        self.name = f"world-{seed}"
        # One in eight has enough points for a graph; what is asked exactly is compared there, since a graph finds nearly all.
        self.is_large = seed % 8 == 5
        self.numbers = 2500 if self.is_large else 120
        self.params = m.SearchParams(exact=True) if self.is_large else None
        self.uuids = [str(uuid.UUID(int=r.getrandbits(128))) for _ in range(self.numbers // 5)]
        self.dense: dict[str, m.VectorParams] = {}
        self.sparse: dict[str, m.SparseVectorParams] = {}
        self.is_unnamed = r.random() < 0.3
        if self.is_unnamed:
            self.dense[""] = m.VectorParams(size=r.randint(1, 9), distance=r.choice(METRICS))
        else:
            for name in r.sample(["a", "b", "text vector"], r.randint(1, 2)):
                self.dense[name] = m.VectorParams(size=r.randint(2, 12), distance=r.choice(METRICS))
            if r.random() < 0.6 and not self.is_large:
                self.dense["multi"] = m.VectorParams(
                    size=r.randint(2, 5), distance=r.choice(METRICS),
                    multivector_config=m.MultiVectorConfig(comparator=m.MultiVectorComparator.MAX_SIM))
        if r.random() < 0.6:
            self.sparse["sparse"] = m.SparseVectorParams(modifier=r.choice([None, m.Modifier.IDF, m.Modifier.NONE]))
        self.shards = 1 if self.is_large else r.randint(1, 3)
        # Segments have these indexes besides those that they make by themselves.
        self.indexes = r.sample([("text", "text"), ("num", "integer"), ("items[].tag", "keyword"), ("obj.x.y", "integer"), ("missing", "uuid")], r.randint(0, 4))

    def create(self, client, **more):
        return client.create_collection(
            self.name, vectors_config=self.dense[""] if self.is_unnamed else self.dense,
            sparse_vectors_config=self.sparse or None, shard_number=self.shards, **more)

    # Points

    def id(self):
        return self.random.choice(self.uuids) if self.random.random() < 0.3 else self.random.randint(0, self.numbers - 1)

    def ids(self, most=5):
        return list(dict.fromkeys(self.id() for _ in range(self.random.randint(1, most))))

    def number(self):
        return round(self.random.gauss(0, 1), 4) or 0.5

    def fields(self):
        return list(self.dense) + list(self.sparse)

    def is_multi(self, field):
        return field in self.dense and self.dense[field].multivector_config is not None

    def vector(self, field):
        r = self.random
        if field in self.sparse:
            places = r.sample(range(30), r.randint(1, 8))
            return m.SparseVector(indices=places, values=[self.number() for _ in places])
        size = self.dense[field].size
        if self.is_multi(field):
            return [[self.number() for _ in range(size)] for _ in range(r.randint(1, 4))]
        return [self.number() for _ in range(size)]

    def vectors(self, all_fields=False):
        names = self.fields()
        if self.is_unnamed and not self.sparse:
            return self.vector("")
        if not all_fields:
            names = [name for name in names if self.random.random() < 0.85]
        return {name: self.vector(name) for name in names}

    def point(self, id=None):
        payload = self.payload() if self.random.random() < 0.9 else None
        return m.PointStruct(id=self.id() if id is None else id, vector=self.vectors(), payload=payload)

    def first_points(self):
        if self.is_large: return [self.point(id) for id in [*range(self.numbers), *self.uuids]]
        return [self.point() for _ in range(self.numbers)]

    def batch(self):
        ids = self.ids(12)
        rows = [self.vectors(all_fields=True) for _ in ids]
        vectors = rows if not isinstance(rows[0], dict) else {name: [row[name] for row in rows] for name in rows[0]}
        payloads = [self.payload() for _ in ids] if self.random.random() < 0.8 else None
        return m.Batch(ids=ids, vectors=vectors, payloads=payloads)

    # Payloads

    def text(self):
        return " ".join(self.random.choice(WORDS) for _ in range(self.random.randint(0, 5)))

    def time(self):
        r = self.random
        moment = EPOCH + timedelta(seconds=r.randint(0, 40) * 21600)
        return r.choice([
            moment.isoformat(), moment.strftime("%Y-%m-%dT%H:%M:%SZ"), moment.strftime("%Y-%m-%d %H:%M:%S"), moment.strftime("%Y-%m-%d"),
            moment.astimezone(timezone(timedelta(hours=5, minutes=30))).isoformat(), moment.strftime("%Y-%m-%dT%H:%M:%S.123456Z"),
            moment.strftime("%Y-%m-%dT%H:%M"), "2024-13-01", "yesterday",
        ])

    def place(self):
        return {"lat": round(self.random.uniform(-60, 60), 3), "lon": round(self.random.uniform(-170, 170), 3)}

    def value(self, kind):
        r = self.random
        match kind:
            case "word": return r.choice(WORDS)
            case "int": return r.choice([r.randint(-3, 12), r.randint(0, 5), 2**53 + r.randint(0, 3), -2**60 + r.randint(0, 2)])
            case "float": return r.choice([round(r.uniform(-5, 5), 2), float(r.randint(-3, 3)), r.randint(-3, 3)])
            case "bool": return r.random() < 0.5
            case "text": return self.text()
            case "time": return self.time()
            case "place": return self.place()
            case "item": return {"n": r.randint(0, 5), "tag": r.choice(WORDS[:4]), **({"deep": {"v": r.randint(0, 3)}} if r.random() < 0.5 else {})}
            case _: return r.choice([None, [], {}, "", 0, False, [None], [1, "a", True], {"lat": "x"}])

    KINDS = {
        "word": "word", "num": "int", "score": "float", "flag": "bool", "text": "text", "time": "time", "place": "place",
        "items": "item", "odd": "odd", "a.b": "word",
    }

    def payload(self):
        r = self.random
        payload = {}
        for key, kind in self.KINDS.items():
            if r.random() < 0.35:
                continue
            value = self.value(kind)
            if kind == "item" or r.random() < 0.25:
                value = [value] + [self.value(kind if r.random() < 0.9 else "odd") for _ in range(r.randint(0, 3))]
            elif r.random() < 0.06:
                value = self.value("odd")
            payload[key] = value
        if r.random() < 0.5:
            payload["obj"] = {"x": {"y": self.value("int")}, "list": [{"k": self.value("word")} for _ in range(r.randint(0, 3))], "n": None}
        return payload

    # Filters

    def key(self):
        return self.random.choice([
            "word", "num", "score", "flag", "text", "time", "place", "items", "odd", '"a.b"', "obj.x.y", "obj.list[].k", "obj.list[0].k",
            "obj.n", "obj", "missing", "items[].n", "items[].deep.v", "items[1]", "num[]", "word[0]", "items[].tag",
        ])

    def condition(self, depth=0):
        r = self.random
        kind = r.randint(0, 18 if depth < 2 else 15)
        match kind:
            case 0: return m.FieldCondition(key=self.key(), match=m.MatchValue(value=self.value(r.choice(["word", "int", "bool"]))))
            case 1: return m.FieldCondition(key=self.key(), match=m.MatchAny(any=r.sample(WORDS, 3)))
            case 2: return m.FieldCondition(key=self.key(), match=m.MatchAny(any=[self.value("int") for _ in range(4)]))
            case 3: return m.FieldCondition(key=self.key(), match=m.MatchExcept(**{"except": r.sample(WORDS, 3)}))
            case 4: return m.FieldCondition(key=r.choice(["text", "word", self.key()]), match=r.choice([
                m.MatchText(text=self.text()), m.MatchTextAny(text_any=self.text()), m.MatchPhrase(phrase=self.text())]))
            case 5: return m.FieldCondition(key=r.choice(["num", "score", "obj.x.y", self.key()]), range=self.range())
            case 6: return m.FieldCondition(key=r.choice(["time", "time", self.key()]), range=self.time_range())
            case 7: return m.FieldCondition(key=self.key(), values_count=m.ValuesCount(**{r.choice(["lt", "lte", "gt", "gte"]): r.randint(0, 3)}))
            case 8:
                center = self.place()
                return m.FieldCondition(key="place", geo_radius=m.GeoRadius(center=m.GeoPoint(**center), radius=r.uniform(1e5, 1e7)))
            case 9:
                a, b = self.place(), self.place()
                return m.FieldCondition(key="place", geo_bounding_box=m.GeoBoundingBox(
                    top_left=m.GeoPoint(lat=max(a["lat"], b["lat"]), lon=a["lon"]),
                    bottom_right=m.GeoPoint(lat=min(a["lat"], b["lat"]), lon=b["lon"])))
            case 10:
                def ring(n):
                    points = [m.GeoPoint(**self.place()) for _ in range(n)]
                    return m.GeoLineString(points=points + points[:1])
                interiors = [ring(3)] if r.random() < 0.4 else None
                return m.FieldCondition(key="place", geo_polygon=m.GeoPolygon(exterior=ring(r.randint(3, 6)), interiors=interiors))
            case 11: return m.HasIdCondition(has_id=[self.id() for _ in range(r.randint(0, 20))])
            case 12: return m.HasVectorCondition(has_vector=r.choice(self.fields() + ["no such"]))
            case 13: return m.IsEmptyCondition(is_empty=m.PayloadField(key=self.key()))
            case 14: return m.IsNullCondition(is_null=m.PayloadField(key=self.key()))
            case 15: return m.FieldCondition(key=r.choice(["word", "text"]), match=r.choice([
                m.MatchPrefix(prefix=self.text()[:2]), m.MatchSubstring(substring=self.text()[:3])]))
            case 16: return m.NestedCondition(nested=m.Nested(key=r.choice(["items", "items[]", "obj.list", "obj"]), filter=m.Filter(
                must=[self.item_condition() for _ in range(r.randint(1, 2))],
                must_not=[self.item_condition()] if r.random() < 0.3 else None)))
            case _: return self.filter(depth + 1)

    def item_condition(self):
        r = self.random
        return r.choice([
            m.FieldCondition(key="n", match=m.MatchValue(value=r.randint(0, 5))),
            m.FieldCondition(key="n", range=m.Range(gte=r.randint(0, 3))),
            m.FieldCondition(key="tag", match=m.MatchAny(any=r.sample(WORDS[:4], 2))),
            m.FieldCondition(key="deep.v", range=m.Range(lt=r.randint(1, 4))),
            m.IsEmptyCondition(is_empty=m.PayloadField(key="deep")),
        ])

    def range(self):
        r = self.random
        bounds = {}
        if r.random() < 0.7: bounds[r.choice(["gt", "gte"])] = r.choice([r.randint(-3, 5), round(r.uniform(-4, 4), 2)])
        if r.random() < 0.7: bounds[r.choice(["lt", "lte"])] = r.choice([r.randint(0, 9), round(r.uniform(-2, 6), 2)])
        return m.Range(**(bounds or {"gte": 0}))

    def time_range(self):
        r = self.random
        bounds = {}
        zone = r.choice([timezone.utc, timezone(timedelta(hours=-7)), None])
        def moment(): return (EPOCH + timedelta(hours=r.randint(-20, 260))).astimezone(zone).replace(tzinfo=zone)
        if r.random() < 0.7: bounds[r.choice(["gt", "gte"])] = moment()
        if r.random() < 0.7: bounds[r.choice(["lt", "lte"])] = moment()
        return m.DatetimeRange(**(bounds or {"gte": moment()}))

    def filter(self, depth=0):
        r = self.random
        clauses = {}
        if r.random() < 0.5: clauses["must"] = [self.condition(depth) for _ in range(r.randint(1, 2))]
        if r.random() < 0.5: clauses["should"] = [self.condition(depth) for _ in range(r.randint(0, 4))]
        if r.random() < 0.3: clauses["must_not"] = [self.condition(depth) for _ in range(r.randint(1, 2))]
        if r.random() < 0.2:
            clauses["min_should"] = m.MinShould(conditions=[self.condition(depth) for _ in range(r.randint(2, 4))], min_count=r.randint(1, 2))
        if r.random() < 0.1: clauses = {"must": self.condition(depth)}
        return m.Filter(**clauses)

    def maybe_filter(self):
        return self.filter() if self.random.random() < 0.6 else None

    # Parts of replies

    def with_payload(self):
        r = self.random
        keys = r.sample(["word", "num", "items[].n", "obj.x", '"a.b"', "items", "obj.list[].k", "missing", "items[0]"], r.randint(0, 4))
        return r.choice([True, True, False, keys, m.PayloadSelectorInclude(include=keys), m.PayloadSelectorExclude(exclude=keys)])

    def with_vectors(self):
        names = self.fields()
        return self.random.choice([False, True, self.random.sample(names, self.random.randint(1, len(names)))])

    # Queries

    def example(self, field):
        return self.id() if self.random.random() < 0.25 else self.vector(field)

    def query(self, field, is_scored_only=False, without_ties=False):
        """A query over one field; kinds whose scores are often equal are left out where that would change what a limit cuts off."""
        r = self.random
        kinds = ["vector", "id", "average"]
        if not without_ties: kinds += ["best", "sum", "discover", "context"]
        if not is_scored_only: kinds += ["order", "none", "mmr"]
        kind = r.choice(kinds)
        some = lambda least=1: [self.example(field) for _ in range(r.randint(least, 3))]
        # Local mode tells vectors from ids by their type, and cannot take a list of lists and an id together for multivectors.
        match kind:
            case "vector": return kind, m.NearestQuery(nearest=self.vector(field))
            case "id": return kind, m.NearestQuery(nearest=self.id())
            case "average": return kind, m.RecommendQuery(recommend=m.RecommendInput(positive=some(), negative=some(0)))
            case "best": return kind, m.RecommendQuery(recommend=m.RecommendInput(
                positive=some(0), negative=some(), strategy=m.RecommendStrategy.BEST_SCORE))
            case "sum": return kind, m.RecommendQuery(recommend=m.RecommendInput(
                positive=some(), negative=some(0), strategy=m.RecommendStrategy.SUM_SCORES))
            case "discover": return kind, m.DiscoverQuery(discover=m.DiscoverInput(target=self.example(field), context=self.pairs(field)))
            case "context": return kind, m.ContextQuery(context=self.pairs(field))
            case "order": return kind, m.OrderByQuery(order_by=self.order())
            case "mmr": return kind, m.NearestQuery(nearest=self.vector(field), mmr=m.Mmr(diversity=round(r.random(), 2), candidates_limit=r.randint(3, 30)))
            case _: return kind, None

    def pairs(self, field):
        return [m.ContextPair(positive=self.example(field), negative=self.example(field)) for _ in range(self.random.randint(1, 3))]

    def order(self):
        r = self.random
        key = r.choice(["num", "score", "time", "obj.x.y", "items[].n", "missing"])
        start = None
        if r.random() < 0.4: start = EPOCH + timedelta(days=r.randint(0, 9)) if key == "time" else r.choice([r.randint(-2, 4), 1.5])
        return r.choice([key, m.OrderBy(key=key, direction=r.choice([None, m.Direction.ASC, m.Direction.DESC]), start_from=start)])

    def prefetch(self, depth=0):
        r = self.random
        field = r.choice(self.fields())
        inner = [self.prefetch(depth + 1)] if depth < 1 and r.random() < 0.3 else None
        _, query = self.query(field, is_scored_only=True, without_ties=True)
        return m.Prefetch(query=query, using=field or None, filter=self.filter() if r.random() < 0.3 else None, limit=r.randint(3, 25), prefetch=inner,
                          params=self.params)
