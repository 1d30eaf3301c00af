"""`{% doorbell %}`: what it writes, for whom, and that its modules are those that the browser loads."""

import json
import re
from pathlib import Path

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.staticfiles.storage import ManifestStaticFilesStorage, StaticFilesStorage
from django.template import Context, RequestContext, Template, TemplateSyntaxError
from django.test import RequestFactory
from django.utils import translation
from django.utils.functional import SimpleLazyObject

from messaging import inboxes
from messaging.notifications import notify
from realtime.static_storage import ModuleManifestStorage
from realtime.templatetags import doorbell as tag

STATIC = Path(__file__).resolve().parents[2] / "static"
IMPORT = re.compile(r"""^(?:import|export)\b[^;]*?["'](\.[^"']+)["']""", re.MULTILINE)
ADDRESSES = re.compile(r'<script data-doorbell type="application/json">(.*?)</script>')


def rendered(user, parts="", **request):
    made = RequestFactory().get("/")
    made.user = user
    vars(made).update(request)
    return Template("{% load doorbell %}{% doorbell " + parts + " %}").render(RequestContext(made))


@pytest.fixture
def ada(db):
    return User.objects.create_user("ada")


def hrefs(html, kind):
    pattern = {
        "modulepreload": r'<link rel="modulepreload" href="(.*?)"',
        "stylesheet": r'<link rel="stylesheet" href="(.*?)"',
        "module": r'<script type="module" src="(.*?)"',
    }[kind]
    return re.findall(pattern, html)


def test_it_writes_links_scripts_addresses_bell_and_toasts(ada):
    html = rendered(ada)
    assert hrefs(html, "stylesheet") == ["/static/bell/bell.css", "/static/toast/toast.css"]
    assert hrefs(html, "module") == ["/static/doorbell/bell.js", "/static/doorbell/toasts.js"]
    preloaded = hrefs(html, "modulepreload")
    assert len(preloaded) == len(set(preloaded)) > 30
    [addresses] = ADDRESSES.findall(html)
    assert json.loads(addresses) == {"api": "/api/v1/", "socket": "/ws/notifications/"}
    assert html.count("<doorbell-bell ") == html.count("<doorbell-toasts>") == 1
    assert "nonce" not in html


@pytest.mark.parametrize(
    ("parts", "kept", "left_out"),
    [
        ('"bell"', "<doorbell-bell ", "toast"),
        ('"toasts"', "<doorbell-toasts>", "bell.css"),
        ('"addresses"', "data-doorbell", "module"),
    ],
)
def test_a_part_comes_alone(ada, parts, kept, left_out):
    html = rendered(ada, parts)
    assert kept in html
    assert left_out not in html
    assert ADDRESSES.search(html)


def test_a_visitor_who_isnt_signed_in_gets_nothing():
    assert rendered(AnonymousUser()) == ""
    assert rendered(None) == ""


@pytest.mark.parametrize(
    "nonces",
    [
        {"csp_nonce": "abc"},
        # django-csp's and Django's are false until they are read.
        {"csp_nonce": SimpleLazyObject(lambda: "abc")},
        {"_csp_nonce": SimpleLazyObject(lambda: "abc")},
    ],
)
def test_every_tag_has_the_nonce(ada, nonces):
    html = rendered(ada, **nonces)
    tags = re.findall(r"<(?:link|script type=\"module\")[^>]*>", html)
    assert len(tags) > 30
    assert all('nonce="abc"' in one for one in tags)


def test_the_count_is_the_inboxes_and_what_is_pending(ada, django_assert_max_num_queries):
    assert 'unread="0"' in rendered(ada)
    assert "Notifications, none unread" in rendered(ada)
    for number in range(3):
        notify(ada, "announcement", f"Number {number}")
    with django_assert_max_num_queries(2):
        html = rendered(ada)
    assert 'unread="3"' in html
    assert '<span class="bell-badge" data-count="3" aria-hidden="true">3</span>' in html
    assert 'aria-label="Notifications, 3 unread"' in html


@pytest.mark.parametrize(
    ("language", "labels"),
    [
        ("de", ["Benachrichtigungen, keine ungelesen", "Benachrichtigungen, 1 ungelesen"]),
        ("fr", ["Notifications, aucune non lue", "Notifications, 1 non lue", "Notifications, 2 non lues"]),
        ("es", ["Notificaciones, ninguna sin leer", "Notificaciones, 1 sin leer"]),
        ("ja", ["通知、未読なし", "通知、未読1件"]),
        ("es-mx", ["Notificaciones, ninguna sin leer", "Notificaciones, 1 sin leer"]),
        ("it", ["Notifications, none unread", "Notifications, 1 unread"]),
    ],
)
def test_the_label_is_in_the_pages_language(language, labels, ada, monkeypatch):
    for count, label in enumerate(labels):
        monkeypatch.setattr(inboxes, "unread_count", lambda user_id, count=count: count)
        with translation.override(language):
            assert f'aria-label="{label}"' in rendered(ada)


def test_a_great_count_is_cut_as_in_the_script(ada, monkeypatch, settings):
    settings.USE_THOUSAND_SEPARATOR = True
    monkeypatch.setattr(inboxes, "unread_count", lambda user_id: 12345)
    html = rendered(ada)
    assert 'unread="12345"' in html
    assert ">99+</span>" in html
    bell, formats = (STATIC / "bell/bell.js").read_text(), (STATIC / "bell/format.js").read_text()
    assert tag.BELL_PATH in bell
    assert f"MAX_BADGE = {tag.MAX_BADGE};" in formats


def test_mistakes_are_errors_that_name_the_way_out(ada):
    with pytest.raises(TemplateSyntaxError, match="'bells'"):
        rendered(ada, '"bells"')
    with pytest.raises(TemplateSyntaxError, match="add django"):
        Template("{% load doorbell %}{% doorbell %}").render(Context())


def imported(module, found):
    for relative in IMPORT.findall((STATIC / module).read_text()):
        path = str((STATIC / module).parent.joinpath(relative).resolve().relative_to(STATIC))
        if path not in found:
            found.add(path)
            imported(path, found)
    return found


@pytest.mark.parametrize("part", tag.PARTS)
def test_the_modules_are_those_that_the_browser_loads(part):
    assert set(tag.MODULES[part]) == imported(f"doorbell/{part}.js", set())
    assert len(tag.MODULES[part]) == len(set(tag.MODULES[part]))


@pytest.mark.parametrize(
    ("storage", "preloaded"),
    [
        (StaticFilesStorage, "https://cdn.example/s/client/connect.js"),
        # It leaves imports as they are.
        (ManifestStaticFilesStorage, "https://cdn.example/s/client/connect.js"),
        (ModuleManifestStorage, "https://cdn.example/s/client/connect.0123456789ab.js"),
    ],
)
def test_modules_are_preloaded_from_where_they_are_imported(ada, monkeypatch, storage, preloaded):
    made = storage(location="/nowhere", base_url="https://cdn.example/s/")
    if isinstance(made, ManifestStaticFilesStorage):
        hashed = {module: module.replace(".js", ".0123456789ab.js") for module in imported_by_all()}
        made.hashed_files = hashed | {style: style for style in tag.STYLES.values()}
        made.manifest_strict = True
    for module in (tag, __import__("django.templatetags.static", fromlist=["static"])):
        monkeypatch.setattr(module, "staticfiles_storage", made, raising=False)
    monkeypatch.setattr("django.contrib.staticfiles.storage.staticfiles_storage", made)
    monkeypatch.setattr("django.conf.settings.DEBUG", False)
    assert preloaded in hrefs(rendered(ada), "modulepreload")


def imported_by_all():
    return {*tag.MODULES["bell"], *tag.MODULES["toasts"], *(f"doorbell/{part}.js" for part in tag.PARTS)}
