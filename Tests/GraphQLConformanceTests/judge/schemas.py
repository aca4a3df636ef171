"""graphql-core's functions on schemas, answered by the program. A schema goes to it as text."""

import math

import graphql
import graphql.utilities as utilities
from graphql.error import GraphQLError
from graphql.execution import ExecutionResult
from graphql.language import Source
from graphql.pyutils import Undefined
from graphql.type import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    get_named_type,
    is_introspection_type,
    is_specified_scalar_type,
)

from program import not_applicable, program
from syntax import Words, errors, message, origins, parse

reference = {}
# Schemas that were built from texts.
texts = {}


class Errors(list):
    """The program's errors; compared as a list."""


def keep_reference(name, function):
    reference[name] = function


def text_of(document):
    found = origins.get(id(document))
    if not found:
        not_applicable("a syntax tree that was made or changed by hand")
    return found[1]


def schema_texts(schema, types=None):
    """The texts of a schema; only where its scalars, or else `types`, have no rules of their own in Python."""
    known = texts.get(id(schema))
    if known:
        if reference["print_schema"](schema) != known[2]:
            not_applicable("a schema that was changed by hand")
        return known[1]
    try:
        for type_ in schema.type_map.values() if types is None else types:
            check_leaf(type_, for_values=types is not None)
        return [reference["print_schema"](schema)]
    except (AttributeError, TypeError):
        not_applicable("a schema made by hand that graphql-core itself cannot print")


def check_leaf(type_, for_values=True):
    if is_introspection_type(type_):
        return
    if isinstance(type_, GraphQLScalarType) and not is_specified_scalar_type(type_):
        if any(name in vars(type_) for name in ("parse_value", "parse_literal", "serialize")):
            not_applicable("a scalar whose rules are Python code")
    if not for_values:
        return
    if isinstance(type_, GraphQLEnumType) and any(value.value != name for name, value in type_.values.items()):
        not_applicable("an enum with values of its own behind the names")
    if isinstance(type_, GraphQLInputObjectType):
        if "out_type" in vars(type_) or any(field.out_name for field in type_.fields.values()):
            not_applicable("an input object with Python values of its own")


def build_ast_schema(document, assume_valid=False, assume_valid_sdl=False):
    source = text_of(document)
    if assume_valid or assume_valid_sdl:
        not_applicable("a text that is not to be checked")
    answer = program.ask("build", schema=[source.body])
    refuse(answer)
    schema = reference["build_ast_schema"](document)
    keep(schema, [source.body])
    return schema


def keep(schema, bodies):
    texts[id(schema)] = (schema, bodies, reference["print_schema"](schema))


def refuse(answer):
    if "errors" in answer:
        raise TypeError(Words("\n\n".join(error["message"].replace('"', "'") for error in answer["errors"])))


def build_schema(source, assume_valid=False, assume_valid_sdl=False, no_location=False, allow_legacy_fragment_variables=False):
    document = parse("document")(source, no_location, None, allow_legacy_fragment_variables)
    return build_ast_schema(document, assume_valid, assume_valid_sdl)


def extend_schema(schema, document, assume_valid=False, assume_valid_sdl=False):
    source = text_of(document)
    if assume_valid or assume_valid_sdl:
        not_applicable("a text that is not to be checked")
    extended = schema_texts(schema) + [source.body]
    refuse(program.ask("build", schema=extended))
    made = reference["extend_schema"](schema, document)
    keep(made, extended)
    return made


def print_schema(schema):
    answer = program.ask("build", schema=schema_texts(schema))
    refuse(answer)
    return answer["text"]


def print_introspection_schema(schema):
    answer = program.ask("build", schema=schema_texts(schema))
    refuse(answer)
    return answer["introspection"]


def print_type(type_):
    if is_specified_scalar_type(type_):
        not_applicable("a type of the specification alone")
    answer = program.ask("build", schema=schema_texts(GraphQLSchema(types=[type_])), type=type_.name)
    refuse(answer)
    return answer["text"]


def validate_schema(schema):
    answer = program.ask("build", schema=schema_texts(schema))
    if id(schema) in texts:
        refuse(answer)
        return place({"errors": answer["problems"]})
    if "errors" in answer:
        not_applicable("a schema made by hand that no valid text says")
    # It has no places in a text.
    return place({"errors": [{"message": problem["message"], "locations": []} for problem in answer["problems"]]})


def place(answer):
    """Errors with their lines and columns; in which text is not asked for."""
    found = Errors()
    for error in answer["errors"]:
        made = GraphQLError(message(error["message"]))
        if error["locations"]:
            made.locations = [graphql.SourceLocation(*location) for location in error["locations"]]
        found.append(made)
    return found


def rule_names(rules):
    names = []
    for rule in rules:
        if getattr(rule, "__module__", "").split(".")[0] != "graphql":
            not_applicable("a rule of the test's own")
        names.append(rule.__name__.removesuffix("Rule"))
    return names


def validate(schema, document, rules=None, max_errors=None, type_info=None):
    if max_errors is not None or type_info is not None:
        not_applicable("an option of the Python function")
    source = text_of(document)
    question = {"schema": schema_texts(schema), "text": source.body}
    if rules is not None:
        question["rules"] = rule_names(rules)
    answer = program.ask("validate", **question)
    return Errors(errors(answer, source))


def validate_sdl(document, schema=None, rules=None):
    source = text_of(document)
    question = {"text": source.body}
    if schema is not None:
        question["schema"] = schema_texts(schema)
    if rules is not None:
        question["rules"] = rule_names(rules)
    return Errors(errors(program.ask("validate_schema_text", **question), source))


def introspection_from_schema(
    schema,
    descriptions=True,
    specified_by_url=True,
    directive_is_repeatable=True,
    schema_description=True,
    input_value_deprecation=True,
):
    query = utilities.get_introspection_query(
        descriptions, specified_by_url, directive_is_repeatable, schema_description, input_value_deprecation
    )
    return introspect(schema, query, {})["data"]


def introspect(schema, query, variables):
    answer = program.ask("introspect", schema=schema_texts(schema), text=query, variables=variables or {})
    if "errors" in answer:
        not_applicable("errors of execution")
    return answer["response"]


def graphql_sync(schema, source, root_value=None, context_value=None, variable_values=None, *arguments, **options):
    body = source.body if isinstance(source, Source) else source
    document = reference["parse"](body)
    roots = [
        selection
        for definition in document.definitions
        if isinstance(definition, graphql.OperationDefinitionNode)
        for selection in definition.selection_set.selections
    ]
    if not all(isinstance(root, graphql.FieldNode) and root.name.value.startswith("__") for root in roots):
        not_applicable("executes with resolvers of Python")
    answer = program.ask("validate", schema=schema_texts(schema), text=body)
    if answer["errors"]:
        return ExecutionResult(None, errors(answer, Source(body)))
    return ExecutionResult(introspect(schema, body, variable_values)["data"], None)


# Values


def schema_with(type_):
    named = get_named_type(type_)
    if is_specified_scalar_type(named):
        return [f"type Query {{ field: {named} }}"], str(type_)
    schema = GraphQLSchema(types=[named])
    for part in schema.type_map.values():
        check_leaf(part)
    for field in getattr(named, "fields", {}).values():
        check_value(getattr(field, "default_value", None), undefined=True)
    return schema_texts(schema, schema.type_map.values()), str(type_)


def check_value(value, undefined=False):
    if value is Undefined and undefined:
        return
    if value is Undefined or (isinstance(value, float) and not math.isfinite(value)):
        not_applicable("a value that is no JSON")
    if isinstance(value, dict):
        for part in value.values():
            check_value(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            check_value(part)
    elif value is not None and not isinstance(value, (str, int, float, bool)):
        not_applicable("a value that is no JSON")


def coerce_input_value(value, type_, on_error=None, path=None):
    check_value(value)
    bodies, name = schema_with(type_)
    answer = program.ask("coerce", schema=bodies, type=name, value=value)
    if answer["problems"] and on_error is None:
        not_applicable("an error of Python")
    for problem in answer["problems"]:
        found = value
        for part in problem["path"]:
            found = found[part]
        on_error(problem["path"], found, GraphQLError(message(problem["message"])))
    return answer["value"]


def value_from_ast(node, type_, variables=None):
    if node is None:
        not_applicable("no syntax tree at all")
    _, source, kind, _ = origins.get(id(node)) or not_applicable("a syntax tree that was made or changed by hand")
    if kind not in ("value", "constant"):
        not_applicable("a literal inside of a document")
    check_value(variables)
    bodies, name = schema_with(type_)
    return program.ask("literal", schema=bodies, type=name, text=source.body, variables=variables or {}).get(
        "value", Undefined
    )


def collect_types(type_, types):
    if type_.name not in types:
        types[type_.name] = type_
        for field in getattr(type_, "fields", {}).values():
            collect_types(get_named_type(field.type), types)


def get_variable_values(schema, definitions, inputs, max_errors=None):
    if not definitions:
        return {}
    if max_errors not in (None, 50):
        not_applicable("an option of the Python function")
    source = text_of(definitions[0])
    check_value(inputs)
    types = {}
    for definition in definitions:
        type_ = reference["type_from_ast"](schema, definition.type)
        if type_ is not None:
            collect_types(get_named_type(type_), types)
    answer = program.ask(
        "variables", schema=schema_texts(schema, types.values()), text=source.body, variables=inputs
    )
    return errors(answer, source) if "errors" in answer else answer["values"]
