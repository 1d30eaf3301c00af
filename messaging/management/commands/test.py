import subprocess
import sys
from pathlib import Path
from typing import NoReturn

from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Run the tests with pytest. Takes pytest's arguments, an app's name or a dotted path."

    def run_from_argv(self, argv: list[str]) -> NoReturn:
        """Pass all arguments to pytest: Django's parser would reject pytest's options."""
        arguments = [path_of(argument) for argument in argv[2:]]
        # In a new process: in this one Django is set up and its modules are imported already.
        sys.exit(subprocess.run([sys.executable, "-m", "pytest", *arguments], check=False).returncode)  # noqa: S603


def path_of(label: str) -> str:
    """Convert Django's dotted test labels (messaging.tests.test_api) to a path; return anything else unchanged."""
    is_dotted = all(part.isidentifier() for part in label.split(".")) and "." in label
    if not is_dotted:
        return label
    path = label.replace(".", "/")
    return path if Path(path).is_dir() else f"{path}.py"
