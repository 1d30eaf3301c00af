"""The log as JSON, one object a line: for programs. The apps log with the standard library, and don't know this."""

import logging
import os
from collections.abc import Mapping
from typing import Any

from structlog.processors import JSONRenderer, StackInfoRenderer, TimeStamper, format_exc_info
from structlog.stdlib import ProcessorFormatter, add_log_level, add_logger_name

from realtime import request_id

Event = dict[str, Any]


def add_fields(logger: Any, method: str, event: Event) -> Event:
    """Add the named arguments of the record's text, the request that it belongs to, and the process."""
    named = getattr(event["_record"], "named", None)
    fields: Event = {"process": os.getpid()}
    if (current := request_id.current()) is not None:
        fields["request"] = current
    fields |= named if isinstance(named, Mapping) else {}
    # None of them takes the place of what the line itself says.
    return {**event, **{name: value for name, value in fields.items() if name not in event}}


class JsonFormatter(ProcessorFormatter):
    """Keys are `timestamp`, `level`, `logger`, `event` (the text), `process`, `request`, and a line's own."""

    def __init__(self) -> None:
        # Without the local variables of a traceback: they hold what users have written.
        before = [TimeStamper(fmt="iso", utc=True), add_log_level, add_logger_name, add_fields]
        render = [
            StackInfoRenderer(),
            format_exc_info,
            self.remove_processors_meta,
            JSONRenderer(default=str, ensure_ascii=True),
        ]
        super().__init__(foreign_pre_chain=before, processors=render)  # type: ignore[arg-type]

    def format(self, record: logging.LogRecord) -> str:
        # The processor sees a copy whose arguments are in the text already.
        if isinstance(record.args, Mapping):
            record.named = record.args
        return super().format(record)
