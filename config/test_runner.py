"""`manage.py test` runs pytest: the TEST_RUNNER of this project."""

import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path


class PytestRunner:
    """Takes apps' names, dotted paths and paths; after `--`, any argument of pytest's."""

    def __init__(
        self,
        *,
        verbosity: int = 1,
        failfast: bool = False,
        keepdb: bool = False,
        quiet: bool = False,
        keyword: str | None = None,
        **options: object,
    ) -> None:
        self.options = [
            *["--verbose"] * (verbosity - 1),
            *(["--quiet"] if quiet or verbosity == 0 else []),
            *(["--exitfirst"] if failfast else []),
            *(["--reuse-db"] if keepdb else []),
            *(["-k", keyword] if keyword else []),
        ]

    @classmethod
    def add_arguments(cls, parser: ArgumentParser) -> None:
        parser.add_argument("-k", dest="keyword", metavar="EXPRESSION", help="Run the tests that match it.")
        parser.add_argument("-x", dest="failfast", action="store_true", help="Stop at the first failure.")
        parser.add_argument("-q", "--quiet", action="store_true", help="Print less.")
        parser.add_argument("--keepdb", action="store_true", help="Keep the test database for the next run.")

    def run_tests(self, labels: Sequence[str]) -> int:
        """Return pytest's exit code, which is 0 if all tests passed."""
        arguments = [path_of(label) for label in labels]
        # In a new process: in this one Django is set up and its modules are imported already.
        command = [sys.executable, "-m", "pytest", *self.options, *arguments]
        return subprocess.run(command).returncode  # noqa: S603


def path_of(label: str) -> str:
    """Convert Django's dotted test labels (messaging.tests.test_api) to a path; return anything else unchanged."""
    is_dotted = all(part.isidentifier() for part in label.split(".")) and "." in label
    if not is_dotted:
        return label
    path = label.replace(".", "/")
    return path if Path(path).is_dir() else f"{path}.py"
