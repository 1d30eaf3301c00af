"""Doors: calls that a project has to open, each by a setting of its own. A closed one is answered with 404 and is in no
document. The API that mounts the routers looks them up; a call only names its door."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from django.conf import settings
from ninja import Router

from messaging.conf import Conf, conf

View = TypeVar("View", bound=Callable[..., Any])
# What each method at an address needs: the name of a row of Conf, or None.
Doors = dict[str, str | None]


def behind(name: str) -> Callable[[View], View]:
    """Put a view behind a setting. The decorator stands below the router's."""

    def mark(view: View) -> View:
        view.door = name  # type: ignore[attr-defined]
        return view

    return mark


def by_route(routers: Iterable[Router]) -> dict[str, Doors]:
    """Return the doors of every address that has one, by its route."""
    found: dict[str, Doors] = {}
    for router in routers:
        for route, at_route in router.path_operations.items():
            for operation in at_route.operations:
                door = getattr(operation.view_func, "door", None)
                found.setdefault(route.strip("/"), {}).update(dict.fromkeys(operation.methods, door))
    return {route: doors for route, doors in found.items() if any(doors.values())}


def is_open(door: str | None) -> bool:
    return door is None or bool(getattr(conf, door))


def open_doors() -> tuple[str, ...]:
    return tuple(name for name in ("users", "messages", "session") if is_open(name))


def closed_calls(routers: Iterable[Router]) -> set[str]:
    """Return the names of the views behind closed doors."""
    views = [
        operation.view_func
        for router in routers
        for at_route in router.path_operations.values()
        for operation in at_route.operations
    ]
    return {view.__name__ for view in views if not is_open(getattr(view, "door", None))}


def refusal(doors: Doors, method: str | None) -> str | None:
    """Return why a call is answered with 404; None if it isn't. Without a method that is open there is no address."""
    if method in doors and is_open(doors[method]):
        return None
    closed = {known: door for known, door in doors.items() if not is_open(door)}
    if method not in closed and closed.keys() != doors.keys():
        return None
    if not settings.DEBUG:
        return "There is nothing at this address."
    door = closed.get(method or "") or next(iter(closed.values()))
    return f"This call is off. {getattr(Conf, str(door)).name} = True turns it on."
