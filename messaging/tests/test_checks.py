"""System checks: what the domain requires of a project's settings."""

import gc

import pytest
from django import forms

import messaging.admin.sending  # noqa: F401  its forms are looked at
from messaging import checks
from messaging.auth_backends import PATH
from messaging.models import Notification
from messaging.tests.pasting import lines_of, paste


def ids(found):
    return [message.id for message in found]


@pytest.mark.parametrize(("level", "is_wrong"), [(None, False), (2, False), (1, True), (4, True)])
def test_an_isolation_level_other_than_read_committed_is_an_error(settings, monkeypatch, level, is_wrong):
    monkeypatch.setitem(settings.DATABASES["default"]["OPTIONS"], "isolation_level", level)
    found = checks.isolation_level()
    assert ids(found) == ["messaging.E001"] * is_wrong
    for error in found:
        exec(lines_of(error.hint), {"DATABASES": settings.DATABASES})
    assert checks.isolation_level() == []


def test_times_without_a_zone_are_an_error(settings):
    assert ids(checks.time_zones()) == []
    settings.USE_TZ = False
    [error] = checks.time_zones()
    assert error.id == "messaging.E003"
    paste(error.hint, settings)
    assert ids(checks.time_zones()) == []


def language_of(user_ids):
    return {}


def test_a_hook_for_languages_without_translations_is_a_warning(settings):
    settings.DOORBELL_LANGUAGE_OF = f"{__name__}.language_of"
    assert ids(checks.language_hook()) == []
    settings.USE_I18N = False
    [warning] = checks.language_hook()
    assert warning.id == "messaging.W011"
    paste(warning.hint, settings)
    assert ids(checks.language_hook()) == []


class Elsewhere:
    def db_for_read(self, model, **hints):
        return "replica"


def test_reads_elsewhere_than_from_default_are_an_error(settings):
    assert ids(checks.routers()) == []
    settings.DATABASE_ROUTERS = [Elsewhere()]
    (error,) = checks.routers()
    assert error.id == "messaging.E004"
    for label in ("messaging.Notification", "auth.User", "sessions.Session"):
        assert label in error.msg
    paste(error.hint, settings)
    assert settings.DATABASE_ROUTERS[1:] != []
    assert ids(checks.routers()) == []
    assert Notification.objects.all().db == "default"


def test_no_form_has_a_url_field():
    """A URLField would read a URL without a scheme by FORMS_URLFIELD_ASSUME_HTTPS."""
    # Not isinstance(thing, type): a lazy object of a request, left over by another test, would be evaluated by it.
    classes = [thing for thing in gc.get_objects() if issubclass(type(thing), type)]
    ours = [found for found in classes if issubclass(found, forms.BaseForm)]
    ours = [form for form in ours if form.__module__.startswith(("messaging", "realtime", "config"))]
    assert ours
    fields = [field for form in ours for field in getattr(form, "base_fields", {}).values()]
    assert fields
    assert not [field for field in fields if isinstance(field, forms.URLField)]


@pytest.mark.parametrize("backends", [["django.contrib.auth.backends.ModelBackend"], ["a.B", PATH], []])
def test_the_hint_puts_the_throttle_before_the_projects_own_backends(settings, backends):
    settings.AUTHENTICATION_BACKENDS = backends
    [warning] = checks.login_throttle()
    assert warning.id == "messaging.W002"
    paste(warning.hint, settings)
    assert [name for name in backends if name != PATH] == settings.AUTHENTICATION_BACKENDS[1:]
    assert checks.login_throttle() == []


def test_sessions_in_cookies_are_moved_by_the_hint(settings):
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    [warning] = checks.sessions_in_cookies()
    assert warning.id == "messaging.W003"
    paste(warning.hint, settings)
    assert checks.sessions_in_cookies() == []
