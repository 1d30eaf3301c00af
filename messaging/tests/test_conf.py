"""The settings DOORBELL_*: their types, what a dotted path may name, and what `manage.py check` finds."""

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured

from messaging.conf import Conf, conf

CANT = "can't be the name of an attribute and of a lookup."
DEFAULT_NAMES = (
    "The default names are profile, inbox, notifications, sent_messages, received_messages, api_tokens, connections."
    ' Use a dict such as {"profile": "doorbell_profile", "inbox": None}, or False.'
)


def found(check_id):
    return [(message.msg, message.hint) for message in run_checks() if message.id == check_id]


def test_a_project_that_sets_nothing_has_every_door_closed(settings):
    for row in Conf.rows():
        if hasattr(settings, row.name):
            delattr(settings, row.name)
    assert (conf.users, conf.messages, conf.session) == (False, False, False)
    assert conf.authenticate is conf.may_see is conf.may_write is conf.name is None
    assert conf.reverse_names == {}
    assert found("messaging.E006") == found("messaging.W007") == []


def test_a_dotted_path_is_imported_when_it_is_read(settings):
    settings.DOORBELL_AUTHENTICATE = "messaging.users.name_of"
    from messaging.users import name_of

    assert conf.authenticate is name_of
    assert found("messaging.E006") == []


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("nowhere.people.of", "It can't be imported: No module named 'nowhere'."),
        (
            "messaging.users.nobody",
            'It can\'t be imported: Module "messaging.users" does not define a "nobody" attribute/class.',
        ),
        ("messaging.users.__doc__", "It can't be called."),
        (len, "It isn't a text."),
        ("", "It can't be imported:  doesn't look like a module path."),
    ],
)
def test_a_path_that_names_nothing_is_an_error_that_says_why(settings, path, problem):
    settings.DOORBELL_MAY_SEE = path
    [(message, hint)] = found("messaging.E006")
    assert message == f"DOORBELL_MAY_SEE is {path!r}."
    assert hint == (
        f"{problem} Use the dotted path of a function or class, such as myproject.people.name_of."
    )
    with pytest.raises(ImproperlyConfigured, match="DOORBELL_MAY_SEE is"):
        _ = conf.may_see


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("USERS", "no", "Use True or False."),
        ("SESSION", 1, "Use True or False."),
        ("REVERSE_NAMES", True, f"It isn't a dict. {DEFAULT_NAMES}"),
        ("REVERSE_NAMES", ["profile"], f"It isn't a dict. {DEFAULT_NAMES}"),
        ("REVERSE_NAMES", {"Profile": "p"}, f"'Profile' is no default name. {DEFAULT_NAMES}"),
        ("REVERSE_NAMES", {"inbox": "my inbox"}, f"'my inbox' {CANT} {DEFAULT_NAMES}"),
        ("REVERSE_NAMES", {"inbox": "a__b"}, f"'a__b' {CANT} {DEFAULT_NAMES}"),
        ("REVERSE_NAMES", {"inbox": "inbox_"}, f"'inbox_' {CANT} {DEFAULT_NAMES}"),
        ("REVERSE_NAMES", {"inbox": "class"}, f"'class' {CANT} {DEFAULT_NAMES}"),
        ("REVERSE_NAMES", {"inbox": "+"}, f"'+' {CANT} {DEFAULT_NAMES}"),
        ("REVERSE_NAMES", {"inbox": 1}, f"1 {CANT} {DEFAULT_NAMES}"),
    ],
)
def test_a_wrong_type_is_an_error(settings, name, value, hint):
    setattr(settings, f"DOORBELL_{name}", value)
    assert found("messaging.E006") == [(f"DOORBELL_{name} is {value!r}.", hint)]


def test_a_misspelt_setting_is_a_warning_that_names_the_similar_one(settings):
    assert found("messaging.W007") == []
    settings.DOORBELL_MESAGES = True
    settings.DOORBELL_COLOUR = "red"
    (other, names), (misspelt, hint) = found("messaging.W007")
    assert misspelt == "There is no setting DOORBELL_MESAGES; it has no effect."
    assert hint == "Is DOORBELL_MESSAGES meant?"
    assert "DOORBELL_COLOUR" in other
    assert "DOORBELL_USERS" in names
