"""Measures graphql-core on the texts that `apus-bench graphql` gives it: microseconds of one parse, one validation, one build."""

import json
import sys
import time

sys.path.insert(0, sys.argv[1])

from graphql import build_schema, parse, validate  # noqa: E402


def measure(body, seconds=0.3):
    """The least of the times that fit into `seconds`, three at least."""
    least, spent, times = float("inf"), 0.0, 0
    while spent < seconds or times < 3:
        start = time.perf_counter()
        body()
        took = time.perf_counter() - start
        least, spent, times = min(least, took), spent + took, times + 1
    return least * 1e6


question = json.load(sys.stdin)
if "operation" in question:
    schema = build_schema(question["schema"])
    document = parse(question["operation"])
    assert validate(schema, document) == []
    answer = {
        "parse_us": measure(lambda: parse(question["operation"])),
        "validate_us": measure(lambda: validate(schema, document)),
    }
else:
    answer = {"build_us": measure(lambda: build_schema(question["schema"]))}
json.dump(answer, sys.stdout)
