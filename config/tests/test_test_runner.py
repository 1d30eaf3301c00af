"""`manage.py test` in this repository: labels and options as pytest's."""

import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import load_command_class
from django.core.management.commands.test import Command as DjangosCommand

from config.test_runner import path_of

ROOT = Path(__file__).resolve().parents[2]


def test_apps_dotted_names_and_paths_are_understood():
    assert path_of("messaging") == "messaging"
    assert path_of("messaging.tests") == "messaging/tests"
    assert path_of("messaging.tests.test_api") == "messaging/tests/test_api.py"
    assert path_of("-k") == "-k"
    assert path_of("messaging/tests/test_api.py::test_it") == "messaging/tests/test_api.py::test_it"


def test_the_command_is_djangos_own():
    """An app's command of this name would replace Django's in every project that installs the app."""
    assert type(load_command_class("django.core", "test")) is DjangosCommand
    for app in ("messaging", "realtime"):
        assert not (ROOT / app / "management/commands/test.py").exists()


def manage_test(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "manage.py", "test", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)


def test_arguments_after_two_dashes_are_pytests():
    assert manage_test("--", "--version").stdout.startswith(f"pytest {pytest.__version__}")


def test_options_reach_pytest():
    done = manage_test("config.tests.test_test_runner", "-q", "-x", "-k", "apps_dotted")
    assert "1 passed" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0


def test_a_failed_run_fails():
    assert manage_test("config/tests/no_such_file.py").returncode == 1
