#!/usr/bin/env python
"""Django's command-line utility, for Doorbell."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        from django.core.management import execute_from_command_line
    except ImportError as error:
        raise SystemExit(
            f"{error}\nDjango isn't installed in this Python: run `make setup` and use .venv/bin/python."
        ) from error
    from django.core.exceptions import ImproperlyConfigured

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        # A wrong value in the environment, mostly: the sentence is enough.
        if "--traceback" in sys.argv:
            raise
        raise SystemExit(f"{error}") from error


if __name__ == "__main__":
    main()
