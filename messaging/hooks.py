"""Calls the functions that a project names in its settings. A failure names the setting and the function."""

from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError

from .conf import Conf, conf
from .exceptions import HookFailed


def call(name: str, *arguments: Any) -> Any:
    """Call the function of a row of Conf. Raises HookFailed from what it raises, except for a database that is away."""
    hook = getattr(conf, name)
    try:
        return hook(*arguments)
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        raise failure(name, f"it raised {type(error).__name__}: {error}") from error


def failure(name: str, what: str) -> HookFailed:
    setting = getattr(Conf, name).name
    return HookFailed(f"{setting}, {getattr(settings, setting)}, failed: {what}")
