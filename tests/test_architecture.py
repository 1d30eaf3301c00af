"""docs/architecture.md against the modules: its tables name each."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/architecture.md").read_text()
NAMED = {word for span in re.findall(r"`([^`\n]+)`", PAGE) for word in re.findall(r"\w+", span)}
# Named after what they are for: the models in the admin, and the commands.
OF_A_KIND = {"admin", "commands", "tests", "migrations"}


@pytest.mark.parametrize("app", ["messaging", "realtime"])
def test_every_module_is_named(app):
    modules = [
        path.relative_to(ROOT)
        for path in (ROOT / app).rglob("*.py")
        if path.stem != "__init__" and not OF_A_KIND & set(path.relative_to(ROOT).parts[:-1])
    ]
    assert len(modules) > 40
    assert [str(path) for path in modules if path.stem not in NAMED] == []
