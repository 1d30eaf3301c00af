"""docs/django-settings.md has a line for every setting of the installed Django, and each names a test that exists."""

import ast
import re
from pathlib import Path

from django.conf import global_settings

from tests.hosts import test_unusual_settings

ROOT = Path(__file__).resolve().parents[1]
LINES = re.findall(
    r"^\| `(\w+)` \| (.+) \| `([^`]+)::(\w+)` \|$",
    (ROOT / "docs/django-settings.md").read_text(),
    re.MULTILINE,
)


def test_every_setting_has_one_line():
    names = [name for name, *_ in LINES]
    assert len(names) == len(set(names))
    assert {name for name in dir(global_settings) if name.isupper()} - set(names) == set()


def test_every_line_names_a_test():
    tests = {}
    for name, _, file, function in LINES:
        if file not in tests:
            tree = ast.parse((ROOT / file).read_text())
            functions = ast.FunctionDef | ast.AsyncFunctionDef
            tests[file] = {node.name for node in ast.walk(tree) if isinstance(node, functions)}
        assert function in tests[file], (name, file, function)


def test_a_line_that_names_the_unusual_project_is_in_it():
    module = test_unusual_settings
    unusual = {**module.UNUSUAL, **module.EMAIL, **module.LANGUAGE_COOKIE}
    assert {name for name, _, file, _ in LINES if file.endswith("test_unusual_settings.py")} == unusual.keys()
