"""The program under judgement: one `apus graphql serve`, asked one question a line."""

import json
import os
import shlex
import subprocess

import pytest


class Program:
    def __init__(self):
        self.process = None
        # The kinds of questions that the present test has asked.
        self.asked = set()

    def ask(self, do, **question):
        if self.process is None:
            command = shlex.split(os.environ["APUS_GRAPHQL"])
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        question["do"] = do
        try:
            line = json.dumps(question, allow_nan=False)
        except (TypeError, ValueError):
            not_applicable("a value that is no JSON")
        if not is_unicode(question):
            not_applicable("a text with half of a surrogate pair: not UTF-8")
        self.asked.add(do)
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, f"the program ended on {line[:2000]}"
        answer = json.loads(answer)
        assert "refused" not in answer, f"{answer['refused']}: {line[:2000]}"
        return answer


def is_unicode(value):
    if isinstance(value, str):
        try:
            value.encode()
            return True
        except UnicodeEncodeError:
            return False
    if isinstance(value, dict):
        return all(is_unicode(part) for pair in value.items() for part in pair)
    return not isinstance(value, (list, tuple)) or all(is_unicode(part) for part in value)


def not_applicable(reason):
    pytest.skip(reason)


program = Program()
