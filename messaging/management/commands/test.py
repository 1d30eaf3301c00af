import subprocess
import sys
from pathlib import Path
from typing import NoReturn

from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Run the tests with pytest. Arguments are pytest's own; an app's name or a dotted path will do as well."

    def run_from_argv(self, argv: list[str]) -> NoReturn:
        """Hand everything over as it is: Django's parser would refuse pytest's options."""
        arguments = [path_of(argument) for argument in argv[2:]]
        # A process of its own: in this one Django is set up already, and its modules are imported.
        sys.exit(subprocess.run([sys.executable, "-m", "pytest", *arguments], check=False).returncode)  # noqa: S603


def path_of(label: str) -> str:
    """Turn Django's way of naming tests (messaging.tests.test_api) into a path; leave anything else alone."""
    is_dotted = all(part.isidentifier() for part in label.split(".")) and "." in label
    if not is_dotted:
        return label
    path = label.replace(".", "/")
    return path if Path(path).is_dir() else f"{path}.py"
