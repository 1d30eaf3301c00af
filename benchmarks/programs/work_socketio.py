"""Pushes by python-socketio from a process of its own. It stores nothing."""

import itertools
import os
from collections.abc import Sequence
from typing import Any

from benchmarks.programs.work import Work


def push(users: list[int]) -> Work:
    """To one user's room after the other."""
    turns = itertools.cycle(users)
    return _emitting(lambda: f"user_{next(turns)}")


def push_all(users: list[int]) -> Work:
    """To the room of all."""
    return _emitting(lambda: "all")


def _emitting(room: Any) -> Work:
    import socketio

    manager = socketio.RedisManager(os.environ["REDIS_URL"], channel="python-socketio", write_only=True)
    shown = {"notification_type": "announcement", "title": "Benchmark", "level": "info", "is_read": False}

    def run(texts: Sequence[str]) -> None:
        for text in texts:
            manager.emit("notification", {**shown, "description": text}, room=room())

    return Work(run)
