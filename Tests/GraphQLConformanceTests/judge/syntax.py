"""The program's syntax trees as graphql-core's nodes, so that its tests can look at them."""

import json
import re

import graphql.language as language
from graphql.error import GraphQLError, GraphQLSyntaxError
from graphql.language import Location, OperationType, Source, Token, TokenKind

from program import not_applicable, program

# Nodes that the program has made: what it was given, and their number there. The node is kept, so that its id stays its own.
origins = {}


class Words(str):
    """A message. graphql-core puts names into single quotes and shows values as Python does, graphql-js (and the program) uses double
    quotes and shows them as JavaScript does. Nothing else is overlooked."""

    def __eq__(self, other):
        return isinstance(other, str) and plain(self) == plain(other)

    def __ne__(self, other):
        return not self == other

    __hash__ = str.__hash__


def plain(text):
    text = text.replace('\\"', '"').replace("\\'", "'").replace('"', "'")
    text = re.sub(r"\bNone\b", "null", text)
    text = re.sub(r"\bTrue\b", "true", text)
    text = re.sub(r"\bFalse\b", "false", text)
    text = text.replace("to be a mapping", "to be an object")
    # graphql-core writes the places of directives in words.
    text = re.sub(r"may not be used on (.*)\.$", lambda found: found[0].upper().replace(" ", "_"), text)
    text = re.sub(r"\{ (.*?) \}", r"{\1}", text)
    return re.sub(r"'(\w+)': ", r"\1: ", text)


def message(text):
    return Words(text.replace('"', "'"))


def offset(text, line, column):
    """The place of a line and column in a text, in code points."""
    start = 0
    for _ in range(line - 1):
        found = re.compile(r"\r\n|[\n\r]").search(text, start)
        start = found.end()
    return start + column - 1


def errors(answer, source):
    """The program's errors as graphql-core's."""
    found = []
    for error in answer.get("errors", []):
        body = source.body if source else ""
        positions = [offset(body, line, column) for line, column in error["locations"]]
        if positions and source:
            found.append(GraphQLError(message(error["message"]), source=source, positions=positions))
        else:
            found.append(GraphQLError(message(error["message"])))
    return found


def raise_syntax_error(answer, source):
    if "errors" not in answer:
        return
    error = answer["errors"][0]
    text = error["message"]
    prefix = "Syntax Error: "
    if not text.startswith(prefix):
        raise GraphQLError(message(text))
    position = offset(source.body, *error["locations"][0]) if error["locations"] else 0
    raised = GraphQLSyntaxError(source, position, message(text[len(prefix) :]))
    raised.message = Words(raised.message)
    raise raised


def parse(kind):
    def parse(source, no_location=False, max_tokens=None, allow_legacy_fragment_variables=False):
        if allow_legacy_fragment_variables:
            not_applicable("variables of fragments: an old experiment")
        if isinstance(source, str):
            source = Source(source)
        question = {"text": source.body, "kind": kind}
        if max_tokens is not None:
            question["max_tokens"] = max_tokens
        answer = program.ask("parse", **question)
        raise_syntax_error(answer, source)
        root = answer["ast"]
        if kind != "document":
            root = root["children"][0]
        return Reader(source, kind, no_location).node(root)

    return parse


class Reader:
    def __init__(self, source, kind, no_location):
        self.source = source
        self.kind = kind
        self.no_location = no_location
        self.bytes = source.body.encode()

    def node(self, tree):
        name = tree["kind"]
        made = getattr(language, name[0].upper() + name[1:] + "Node")(**self.parts(tree), loc=self.location(tree))
        origins[id(made)] = (made, self.source, self.kind, tree["id"])
        return made

    def location(self, tree):
        if self.no_location:
            return None
        start, end = (len(self.bytes[: tree[key]].decode()) for key in ("start", "end"))
        if tree["kind"] == "document":
            start, end = 0, len(self.source.body)
            first = LooseToken(TokenKind.SOF, start, start, 0, 0)
            return Location(first, LooseToken(TokenKind.EOF, end, end, 0, 0), self.source)
        token = LooseToken(TokenKind.NAME, start, end, 0, 0)
        return Location(token, token, self.source)

    def all(self, tree, *kinds):
        children = tree["children"]
        if tree.get("description"):
            children = children[1:]
        return tuple(self.node(child) for child in children if child["kind"] in kinds)

    def first(self, tree, *kinds):
        found = self.all(tree, *kinds)
        return found[0] if found else None

    TYPES = ("namedType", "listType", "nonNullType")
    VALUES = (
        "variable intValue floatValue stringValue booleanValue nullValue enumValue listValue objectValue".split()
    )

    def parts(self, tree):
        kind = tree["kind"]
        children = tree["children"]
        if kind == "document":
            return {"definitions": tuple(self.node(child) for child in children)}
        if kind in ("name", "intValue", "floatValue", "enumValue", "booleanValue"):
            return {"value": tree["value"]}
        if kind == "stringValue":
            return {"value": tree["value"], "block": tree["block"]}
        if kind == "nullValue":
            return {}
        if kind == "selectionSet":
            return {"selections": tuple(self.node(child) for child in children)}
        if kind == "listValue":
            return {"values": tuple(self.node(child) for child in children)}
        if kind == "objectValue":
            return {"fields": tuple(self.node(child) for child in children)}
        if kind in ("listType", "nonNullType"):
            return {"type": self.node(children[0])}
        if kind == "operationTypeDefinition":
            return {"operation": OperationType(tree["operation"]), "type": self.node(children[0])}
        if kind == "variableDefinition":
            return {
                "variable": self.node(children[0]),
                "type": self.first(tree, *self.TYPES),
                "default_value": self.first({"children": children[1:]}, *self.VALUES),
                "directives": self.all(tree, "directive"),
            }
        names = self.all(tree, "name")
        parts = {}
        if kind == "field":
            parts = {"alias": names[0] if tree.get("alias") else None, "name": names[-1]}
        elif kind == "operationDefinition":
            parts = {"operation": OperationType(tree["operation"]), "name": names[0] if names else None}
        elif kind == "directiveDefinition":
            parts = {"name": names[0], "locations": names[1:], "repeatable": tree["repeatable"]}
        elif names:
            parts = {"name": names[0]}
        if kind in ("argument", "objectField"):
            parts["value"] = self.node(children[1])
        if kind in ("field", "directive"):
            parts["arguments"] = self.all(tree, "argument")
        if kind in ("fieldDefinition", "directiveDefinition"):
            parts["arguments"] = self.all(tree, "inputValueDefinition")
        if kind in ("fieldDefinition", "inputValueDefinition"):
            parts["type"] = self.first(tree, *self.TYPES)
        if kind == "inputValueDefinition":
            parts["default_value"] = self.first(tree, *self.VALUES)
        if kind in ("inlineFragment", "fragmentDefinition"):
            parts["type_condition"] = self.first(tree, "namedType")
        if kind == "operationDefinition":
            parts["variable_definitions"] = self.all(tree, "variableDefinition")
        if kind in ("operationDefinition", "fragmentDefinition", "field", "inlineFragment"):
            parts["selection_set"] = self.first(tree, "selectionSet")
        if kind.startswith("schema"):
            parts["operation_types"] = self.all(tree, "operationTypeDefinition")
        if kind.startswith(("objectType", "interfaceType")):
            parts["interfaces"] = self.all(tree, "namedType")
            parts["fields"] = self.all(tree, "fieldDefinition")
        if kind.startswith("unionType"):
            parts["types"] = self.all(tree, "namedType")
        if kind.startswith("enumType"):
            parts["values"] = self.all(tree, "enumValueDefinition")
        if kind.startswith("inputObjectType"):
            parts["fields"] = self.all(tree, "inputValueDefinition")
        if kind not in ("name", "variable", "namedType", "argument", "objectField", "directive", "directiveDefinition"):
            parts["directives"] = self.all(tree, "directive")
        if kind.endswith("Definition") and kind not in ("operationDefinition", "fragmentDefinition"):
            parts["description"] = self.node(children[0]) if tree.get("description") else None
        return parts


def print_ast(node):
    found = origins.get(id(node))
    if not found:
        not_applicable("prints a syntax tree that was made or changed by hand")
    _, source, kind, number = found
    return program.ask("print", text=source.body, kind=kind, node=number)["text"]


def strip_ignored_characters(source):
    if isinstance(source, str):
        source = Source(source)
    answer = program.ask("strip", text=source.body)
    raise_syntax_error(answer, source)
    return answer["text"]


# graphql-core's functions on strings: the program's are inside of its parser and printers.


def literal(text):
    """JSON's strings are GraphQL's."""
    return json.dumps(text)


def print_string(text):
    if not isinstance(text, str):
        not_applicable("a value that is no string")
    return program.ask("print", text=literal(text), kind="value", node=1)["text"]


def dedent_block_string_lines(lines):
    body = "\n".join(lines)
    if '"' in body or "\\" in body:
        not_applicable("text that a block string cannot hold")
    value = program.ask("parse", text=f'"""{body}"""', kind="value")["ast"]["children"][0]["value"]
    return value.split("\n") if value else []


def is_printable_as_block_string(text):
    if not isinstance(text, str):
        not_applicable("a value that is no string")
    answer = program.ask("build", schema=[f"{literal(text)} type Query {{ field: Int }}"])
    return answer["text"].startswith('"""')


class LooseToken(Token):
    """A token without neighbours: graphql-core links each to the next, comments too."""

    @property
    def prev(self):
        not_applicable("the list of tokens and comments that graphql-core keeps")

    @prev.setter
    def prev(self, value):
        pass

    next = prev


class Lexer:
    """The program's tokens, where graphql-core's lexer would give its own. Comments are no tokens there."""

    KINDS = {f'"{kind.value}"': kind for kind in TokenKind} | {kind.value: kind for kind in TokenKind}

    def __init__(self, source):
        self.source = source
        self.answer = program.ask("tokens", text=source.body)
        body = source.body.encode()
        self.tokens = []
        for token in self.answer["tokens"]:
            start, end = (len(body[: token[key]].decode()) for key in ("start", "end"))
            kind = self.KINDS[token["kind"]]
            self.tokens.append(LooseToken(kind, start, end, token["line"], token["column"], token["value"]))
        length = len(source.body)
        self.token = LooseToken(TokenKind.SOF, 0, 0, 0, 0)
        self.end = LooseToken(TokenKind.EOF, length, length, *self.answer["end"])

    def advance(self):
        if self.tokens:
            self.token = self.tokens.pop(0)
        else:
            raise_syntax_error(self.answer, self.source)
            self.token = self.end
        return self.token
