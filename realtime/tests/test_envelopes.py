"""Envelopes name users as the wire does, and groups by names that every channel layer takes."""

import uuid
from typing import Any

import pytest
from channels.layers import BaseChannelLayer
from django.db import models

from messaging import users
from realtime.outbound import envelopes
from realtime.outbound.envelopes import (
    AnnouncementEnvelope,
    CloseEnvelope,
    DeletedEnvelope,
    PresenceEnvelope,
    RecheckEnvelope,
    RevisionEnvelope,
    ViewsEnvelope,
    user_group,
)

FIELDS: dict[str, tuple[Any, list[Any]]] = {
    "integers": (models.BigIntegerField(), [5, 2**53 + 1, -3]),
    "UUIDs": (models.UUIDField(), [uuid.UUID(int=number) for number in (1, 2, 3)]),
    "texts": (models.CharField(max_length=255), ["Ada", "ada", "o'b/é\n😀" + "x" * 240]),
}


@pytest.mark.parametrize("kind", FIELDS)
def test_every_envelope_is_decoded_to_what_was_encoded(monkeypatch, kind):
    field, (one, two, three) = FIELDS[kind]
    monkeypatch.setattr(users, "key_field", lambda: field)
    for envelope in (
        RevisionEnvelope(one, 3, 1, "{}"),
        AnnouncementEnvelope([one, two], [[3, 1, 7], [4, 2, 8]], ["{", ",", ",", "}"]),
        RecheckEnvelope(two),
        CloseEnvelope(three, "c", 4502),
        PresenceEnvelope([one, two, three]),
        ViewsEnvelope([[one, two], [three, one]]),
        DeletedEnvelope(one, "ada", [[7, two], [8, three]]),
    ):
        group, message = envelope.encode()
        BaseChannelLayer().require_valid_group_name(group)
        assert envelopes.decode(message) == envelope
        assert all(isinstance(value, (int, str, list)) for value in message.values())


def test_integers_are_named_as_ever():
    group, message = RecheckEnvelope(5).encode()
    assert (group, message["user"]) == ("user.5", 5)


def test_each_key_has_a_group_of_its_own():
    keys = [key for _, keys in FIELDS.values() for key in keys]
    assert len({user_group(key) for key in keys}) == len(keys)


@pytest.mark.parametrize("user", ["5", "x", None, [1], True, 5.0])
def test_what_is_no_id_is_malformed(user):
    _, message = RecheckEnvelope(5).encode()
    with pytest.raises(TypeError):
        envelopes.decode(message | {"user": user})


@pytest.mark.parametrize(
    "wrong",
    [
        {"numbers": [[3, 1, 7]]},
        {"numbers": [[3, 1, 7], [4, 2]]},
        {"numbers": [[3, 1, 7], [4, "2", 8]]},
        {"numbers": [[3, 1, 7], 4]},
        {"parts": ["{", "}"]},
        {"parts": ["{", ",", ",", 1]},
        {"users": [5, "x"]},
    ],
)
def test_an_announcement_with_other_parts_is_malformed(wrong):
    _, message = AnnouncementEnvelope([5, 6], [[3, 1, 7], [4, 2, 8]], ["{", ",", ",", "}"]).encode()
    assert envelopes.decode(message) is not None
    with pytest.raises(TypeError):
        envelopes.decode(message | wrong)
