"""The names by which our rows are reached from a user: by default, chosen, or none. In real projects: tests/hosts."""

import pytest
from django.contrib.auth.models import User
from django.db import models

from messaging import reverse_names
from messaging.conf import Conf, conf
from messaging.models import UserProfile
from messaging.orm.user_keys import OneToOneUserKey, UserKey, related_name


def test_each_key_with_a_name_is_in_the_table_and_the_reverse():
    assert {key.default_name for key in reverse_names.named_keys()} == set(Conf.reverse_names.names)


def test_the_default_names_are_attributes_and_lookups(ada):
    assert ada.profile == UserProfile.objects.get(user=ada)
    assert User.objects.get(profile__is_online=False, inbox__revision=0) == ada


def test_no_other_key_to_a_user_takes_a_name():
    keys = {key.remote_field for key in reverse_names.named_keys()}
    ours = [
        rel for rel in User._meta.get_fields(include_hidden=True) if rel.auto_created and not rel.concrete
    ]
    others = [rel for rel in ours if rel.related_model._meta.app_label in ("messaging", "realtime")]
    assert {rel.field.name for rel in others if rel not in keys} == {
        "actor",
        "low",
        "high",
        "blocker",
        "blocked",
        "user",
    }
    assert all(rel.hidden for rel in others if rel not in keys)


@pytest.mark.parametrize("kind", [UserKey, OneToOneUserKey])
def test_migrations_see_a_field_of_djangos_without_a_name(kind):
    key = kind(User, models.CASCADE, default_name="profile")
    _, path, _, options = key.deconstruct()
    assert path == f"django.db.models.{kind.__mro__[2].__name__}"
    assert options["related_name"] == "+"
    assert key.clone().remote_field.related_name == "+"


def test_a_name_can_be_another_or_none(settings):
    settings.DOORBELL_REVERSE_NAMES = {"profile": "p", "inbox": None, "notifications": "no name"}
    assert [related_name(name) for name in ("profile", "inbox", "notifications", "connections")] == [
        "p",
        "inbox+",
        "notifications+",
        "connections",
    ]
    settings.DOORBELL_REVERSE_NAMES = False
    assert set(conf.reverse_names.values()) == {None}
