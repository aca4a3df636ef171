"""Judges the program by graphql-core's tests: a table of files, with the reason of each test that does not apply.

    python run.py SOURCES RESULTS [--write]

SOURCES is graphql-core's unpacked source archive, RESULTS the recorded table. The exit code is 1 when what is seen is not what was recorded;
`--write` records it.
"""

import collections
import difflib
import hashlib
import json
import os
import subprocess
import sys
import tempfile

# Left out are tests of Python's classes, of resolvers, and of helpers that only Python has.
FOLDERS = ["tests/language", "tests/validation", "tests/utilities", "tests/type/test_validation.py", "tests/type/test_introspection.py"]
FOLDERS += ["tests/execution/test_variables.py", "tests/test_star_wars_introspection.py", "tests/test_star_wars_validation.py"]


def run(sources):
    here = os.path.dirname(os.path.abspath(__file__))
    with tempfile.TemporaryDirectory() as folder:
        outcomes = os.path.join(folder, "outcomes.json")
        environment = dict(os.environ, APUS_GRAPHQL_OUTCOMES=outcomes, PYTHONDONTWRITEBYTECODE="1")
        environment["PYTHONPATH"] = os.pathsep.join([here, os.path.join(sources, "src")])
        options = ["-p", "plugin", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", sources, "-q", "--no-header"]
        options += ["--tb=short", "--continue-on-collection-errors"]
        finished = subprocess.run(
            [sys.executable, "-m", "pytest", *options, *FOLDERS], cwd=sources, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        if not os.path.exists(outcomes):
            sys.exit(finished.stdout)
        with open(outcomes) as file:
            return json.load(file), finished.stdout


def record(lines):
    """A table of files. The digest is of the names of the tests that passed, so that one cannot take another's place unseen."""
    files = collections.defaultdict(list)
    for node, outcome, reason in lines:
        files[node.split("::")[0].removeprefix("tests/")].append((node, outcome, reason))
    files["all"] = lines
    table = [f"{'file':54} passed  failed  not applicable  digest"]
    for file, tests in files.items():
        counts = collections.Counter(outcome for _, outcome, _ in tests)
        passed = "\n".join(node for node, outcome, _ in tests if outcome == "passed")
        digest = hashlib.sha256(passed.encode()).hexdigest()[:8]
        numbers = f"{counts['passed']:6}  {counts['failed']:6}  {counts['not applicable']:14}"
        table.append(f"{file:54} {numbers}  {digest}")
        reasons = collections.Counter(reason for _, _, reason in tests if reason)
        table += [f"{'':6}{number:4} × {reason}" for reason, number in reasons.most_common()]
        if file != "all":
            table += [f"      failed: {node}" for node, outcome, _ in tests if outcome == "failed"]
    return table


def main():
    sources, results = os.path.realpath(sys.argv[1]), sys.argv[2]
    lines, output = run(sources)
    seen = record(lines)
    if "--write" in sys.argv:
        with open(results, "w") as file:
            file.write("\n".join(seen) + "\n")
    with open(results) as file:
        recorded = file.read().splitlines()
    print("\n".join(seen))
    if seen == recorded:
        return 0
    print(output[-20000:])
    print("\n".join(difflib.unified_diff(recorded, seen, "recorded", "seen", lineterm="", n=0)))
    return 1


sys.exit(main())
