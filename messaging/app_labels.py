"""Says what to do where a project's own app has a label of ours, or an app of ours isn't installed.

Called while Django is being set up: imports nothing that needs it.
"""

from importlib.util import find_spec
from pathlib import Path

from django.apps import AppConfig, apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

OURS = ("messaging", "realtime")
WAY_OUT = (
    "Doorbell's can't be changed: it is in the names of its tables and in its migrations. Change the project's, or run "
    "Doorbell as a service of its own, in a project beside this one, and publish to it over HTTP: docs/service.md."
)


def refuse_others(config: AppConfig) -> None:
    """Raise ImproperlyConfigured if another app of INSTALLED_APPS has this app's label, or the name of one of ours."""
    for entry in settings.INSTALLED_APPS:
        package = str(entry).partition(".")[0]
        if package in OURS and not _is_ours(package):
            raise ImproperlyConfigured(
                f"The package {package!r} in INSTALLED_APPS is the project's own, and hides Doorbell's. {WAY_OUT}"
            )
        if package not in OURS and _label(entry) == config.label:
            raise ImproperlyConfigured(
                f"Two apps have the label {config.label!r}: Doorbell's and {entry!r}. {WAY_OUT}"
            )


def require(*packages: str) -> None:
    """Raise ImproperlyConfigured if one of our apps is used, and not in INSTALLED_APPS."""
    installed = {str(entry).partition(".")[0] for entry in settings.INSTALLED_APPS}
    if missing := [package for package in packages if package not in installed]:
        names = " and ".join(f'"{package}"' for package in missing)
        lines = "".join(f'\n    INSTALLED_APPS = [*INSTALLED_APPS, "{package}"]' for package in missing)
        raise ImproperlyConfigured(
            f"Doorbell needs {names} in INSTALLED_APPS. At the end of the settings:\n{lines}\n"
        )


def _label(entry: str) -> str | None:
    # One that is set up already isn't set up a second time.
    for known in apps.app_configs.values():
        if entry in (known.name, f"{type(known).__module__}.{type(known).__qualname__}"):
            return known.label
    try:
        return AppConfig.create(entry).label
    except Exception:
        return None  # Django's own error follows.


def _is_ours(package: str) -> bool:
    found = find_spec(package)
    home = Path(__file__).resolve().parent.parent
    return found is None or found.origin is None or Path(found.origin).resolve().parent.parent == home
