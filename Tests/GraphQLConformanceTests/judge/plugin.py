"""Runs graphql-core's own tests with its functions answered by the program, and writes what became of each test."""

import json
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import graphql  # noqa: E402
import graphql.language  # noqa: E402
import graphql.utilities  # noqa: E402

import schemas  # noqa: E402
import syntax  # noqa: E402
from program import program  # noqa: E402

# Where tests take them from. graphql-core's own modules keep theirs, so the reference stays the reference.
PLACES = [
    "graphql",
    "graphql.language",
    "graphql.language.block_string",
    "graphql.language.parser",
    "graphql.language.print_string",
    "graphql.type",
    "graphql.utilities",
    "graphql.validation",
    "graphql.validation.validate",
    "graphql.execution.execute",
]
REPLACED = {
    "parse": syntax.parse("document"),
    "parse_value": syntax.parse("value"),
    "parse_const_value": syntax.parse("constant"),
    "parse_type": syntax.parse("type"),
    "print_ast": syntax.print_ast,
    "Lexer": syntax.Lexer,
    "print_string": syntax.print_string,
    "dedent_block_string_lines": syntax.dedent_block_string_lines,
    "is_printable_as_block_string": syntax.is_printable_as_block_string,
    "strip_ignored_characters": syntax.strip_ignored_characters,
    "build_schema": schemas.build_schema,
    "build_ast_schema": schemas.build_ast_schema,
    "extend_schema": schemas.extend_schema,
    "print_schema": schemas.print_schema,
    "print_introspection_schema": schemas.print_introspection_schema,
    "print_type": schemas.print_type,
    "validate_schema": schemas.validate_schema,
    "validate": schemas.validate,
    "validate_sdl": schemas.validate_sdl,
    "introspection_from_schema": schemas.introspection_from_schema,
    "graphql_sync": schemas.graphql_sync,
    "coerce_input_value": schemas.coerce_input_value,
    "value_from_ast": schemas.value_from_ast,
    "get_variable_values": schemas.get_variable_values,
}
# Modules that need what they import to stay what it is.
KEPT = {("graphql.language.parser", "Lexer"), ("graphql.execution.execute", "parse"), ("graphql.validation.validate", "validate_schema")}

schemas.keep_reference("type_from_ast", graphql.utilities.type_from_ast)
for name in REPLACED:
    schemas.keep_reference(name, getattr(graphql, name, None) or getattr(graphql.utilities, name, None))
for place in PLACES:
    module = sys.modules[place]
    for name, function in REPLACED.items():
        if hasattr(module, name) and (place, name) not in KEPT and callable(getattr(module, name)):
            setattr(module, name, function)

# What the program is not asked in a way that it could answer.
REASONS = {
    "describe_handles_non_nullable_scalars::reports_error_for_array_passed_into_string_input":
        "the Python exception behind an error",
    "describe_star_wars_introspection_tests::describe_basic_introspection::allows_querying_the_schema_for_types":
        "the order of types in a schema made by hand, which its text does not have",
}

outcomes = {}
asked = {}


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    program.asked = set()
    yield
    asked[item.nodeid] = program.asked


def pytest_runtest_logreport(report):
    if report.when == "call" or report.outcome != "passed":
        outcomes[report.nodeid] = report


def pytest_collectreport(report):
    if report.failed:
        outcomes[report.nodeid] = report


def verdict(node, report):
    for name, reason in REASONS.items():
        if node.endswith(name):
            return "not applicable", reason
    if report.outcome == "failed":
        return "failed", ""
    questions = asked.get(node, set())
    if report.outcome == "skipped":
        return "not applicable", report.longrepr[2].removeprefix("Skipped: ")
    if not questions:
        return "not applicable", "is about Python: asks the program nothing"
    if questions == {"parse"} and "/language/" not in node:
        return "not applicable", "asks the program for nothing but parsing"
    return report.outcome, ""


def pytest_sessionfinish():
    lines = [[node, *verdict(node, report)] for node, report in sorted(outcomes.items())]
    with open(os.environ["APUS_GRAPHQL_OUTCOMES"], "w") as file:
        json.dump(lines, file)
