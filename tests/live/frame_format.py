"""The forms of frames and notifications as docs/protocol.md has them. Fields that it doesn't name are allowed."""

import re
from typing import Any

MAX_FRAME_BYTES = 512 * 1024
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")

FRAME_FIELDS = {
    "hello": {
        *("protocol", "connection_id", "user", "epoch", "revision", "unread_count", "resumed"),
        *("heartbeat_seconds", "server_time"),
    },
    "presence_state": {"online"},
    "inbox": {"revision", "unread_count", "replayed"},
    "synced": {"revision", "unread_count"},
    "reset": {"revision", "unread_count", "reason"},
    "presence": {"user", "is_online", "last_seen", "version"},
    "heartbeat": {"revision", "unread_count", "server_time"},
    "pong": {"ref"},
    "error": {"code", "detail", "ref"},
}
NOTIFICATION_FIELDS = {
    *("id", "notification_type", "title", "description", "level", "is_read", "created_at", "actor"),
    *("message_id", "url", "data", "group", "count"),
}
LEVELS = {"info", "success", "warning", "error"}
RESET_REASONS = {"new_epoch", "unknown_revision", "history_removed", "too_far_behind"}
ERROR_CODES = {"bad_json", "unknown_type", "bad_request", "not_allowed"}


def check_frame(frame: dict[str, Any]) -> None:
    kind = frame["type"]
    assert kind in FRAME_FIELDS, f"unknown frame {frame}"
    assert FRAME_FIELDS[kind] <= frame.keys(), f"fields are missing: {frame}"
    if "server_time" in frame:
        assert TIMESTAMP.fullmatch(frame["server_time"]), frame
    match kind:
        case "hello":
            assert frame["protocol"] == 1
            assert frame["revision"] >= 0
        case "inbox":
            for item in frame.get("added", []):
                check_notification(item)
        case "reset":
            assert frame["reason"] in RESET_REASONS
        case "pong":
            assert isinstance(frame["ref"], str)
        case "error":
            assert frame["code"] in ERROR_CODES


def check_notification(item: dict[str, Any]) -> None:
    assert NOTIFICATION_FIELDS <= item.keys(), f"fields are missing: {item}"
    assert item["level"] in LEVELS
    assert isinstance(item["is_read"], bool)
    assert TIMESTAMP.fullmatch(item["created_at"]), item["created_at"]
    assert item["data"] is None or isinstance(item["data"], dict)
    assert item["group"] is None or isinstance(item["group"], str)
    assert item["count"] >= 1
    assert item["actor"] is None or item["actor"].keys() >= {"id", "username"}
