"""Each gets a notification in their own language, by whatever road, and whichever language the writer's is."""

import pytest
from django.core.management import call_command
from django.db import transaction
from django.test import override_settings
from django.urls import reverse
from django.utils import translation
from django.utils.functional import lazy
from django.utils.translation import gettext_lazy

from messaging import contacts, languages, notification_types, profiles, tokens
from messaging.broadcasting import broadcast
from messaging.models import Message, Notification, UserProfile
from messaging.notification_types import NotificationType, register
from messaging.notifications import assign_revisions, notify, notify_many
from messaging.tests.admin_client import AdminClient
from messaging.tests.api_client import ApiClient
from messaging.tests.catalogues import COMMENTED, forget_the_languages, translated
from messaging.tests.presence import set_online
from messaging.tests.rows import read, send
from messaging.text_templates import TextTemplate

pytestmark = pytest.mark.django_db(transaction=True)

IN_ENGLISH = "margaret commented on Home"
IN_GERMAN = "margaret hat Home kommentiert"
IN_JAPANESE = "margaretさんがHomeにコメントしました"
IN_ARABIC = "علّق margaret على Home"
DATA = {"page": "Home"}


@pytest.fixture(autouse=True)
def comments(monkeypatch):
    """The type "comment", with texts that are known in German, Japanese and Arabic."""
    monkeypatch.setattr(notification_types, "_types", dict(notification_types._types))
    monkeypatch.setattr(languages, "_reported", set())
    register(NotificationType(name="comment", label="Comment", title=gettext_lazy(COMMENTED)))
    with translated():
        yield


@pytest.fixture
def people(ada, grace, linus, margaret):
    """Ada reads Japanese, Grace Arabic, Linus has no language, and Margaret, who writes, has German."""
    for user, language in ((ada, "ja"), (grace, "ar"), (margaret, "de")):
        UserProfile.objects.filter(user=user).update(language=language)
    return [ada, grace, linus]


def titles(of_type="comment", **conditions):
    rows = Notification.objects.filter(notification_type=of_type, **conditions)
    return dict(rows.values_list("user__username", "title"))


def by_notify(people, writer):
    for user in people:
        notify(user, "comment", actor=writer, data=DATA)


def by_notify_many(people, writer):
    notify_many(people, "comment", actor=writer.pk, data=DATA)


def in_a_transaction(people, writer):
    with transaction.atomic():
        by_notify_many(people, writer)


def by_a_given_title(people, writer):
    notify_many(people, "announcement", gettext_lazy("shipped"))
    rows = Notification.objects.all()
    assert dict(rows.values_list("user__username", "title")) == {
        "ada": "発送済み",
        "grace": "تم الشحن",
        "linus": "shipped",
    }
    assert set(rows.values_list("language", flat=True)) == {"ja", "ar", "en-us"}
    by_notify(people, writer)


def by_broadcast(people, writer):
    broadcast(people, "comment", actor=writer, data=DATA, key="k").run()


def by_orm(people, writer):
    text = gettext_lazy(COMMENTED)
    for user in people:
        title = lazy(lambda: text % {"actor": "margaret", "page": "Home"}, str)()
        Notification(user=user, notification_type="comment", title=title).save()


def by_bulk_create(people, writer):
    title = lazy(lambda: str(gettext_lazy(COMMENTED)) % {"actor": "margaret", "page": "Home"}, str)()
    Notification.objects.bulk_create(
        Notification(user=user, notification_type="comment", title=title) for user in people
    )


WAYS = [by_notify, by_notify_many, in_a_transaction, by_a_given_title, by_broadcast, by_orm]
WAYS += [by_bulk_create]


@pytest.mark.parametrize("numbering", ["numbered", "unnumbered"])
@pytest.mark.parametrize("way", WAYS)
def test_the_writers_language_reaches_nobody(way, numbering, people, margaret, request):
    request.getfixturevalue(numbering)
    with translation.override("de"):
        way(people, margaret)
        assert translation.get_language() == "de"
        assign_revisions([user.pk for user in people])
    assert titles() == {"ada": IN_JAPANESE, "grace": IN_ARABIC, "linus": IN_ENGLISH}
    with translation.override(None):
        notify(margaret, "comment", actor=margaret, data=DATA)
    assert titles(user=margaret) == {"margaret": IN_GERMAN}
    Notification.everything.all().hard_delete()


MIDDLEWARE = "django.middleware.locale.LocaleMiddleware"


@pytest.fixture
def in_german(settings):
    """Requests are answered in German: what LocaleMiddleware activates is active in the view."""
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, MIDDLEWARE]
    yield {"Accept-Language": "de"}
    translation.deactivate()


def test_over_http(people, in_german):
    _, secret = tokens.make("shop", can_publish=True)
    items = [
        {"user": user.username, "notification_type": "comment", "data": {**DATA, "actor": "margaret"}}
        for user in people
    ]
    answer = ApiClient()("POST", "publish", items, Authorization=f"Bearer {secret}", **in_german)
    assert answer.json()["created"] == 3
    assert titles() == {"ada": IN_JAPANESE, "grace": IN_ARABIC, "linus": IN_ENGLISH}


def test_over_the_admin(people, admin, settings, in_german):
    register(NotificationType(name="shipped", label="Shipped", title=gettext_lazy("shipped")))
    fields = {
        "usernames": "ada, grace, linus",
        "notification_type": "shipped",
        "key": "k",
        "confirmed": "yes",
    }
    page = admin.client.post(
        reverse("admin:messaging_notification_send"), fields, headers=in_german, follow=True
    )
    assert page.status_code == 200
    assert titles("shipped") == {"ada": "発送済み", "grace": "تم الشحن", "linus": "shipped"}


def test_by_a_command(people):
    with translation.override("de"):
        for name in ("ada", "grace", "linus"):
            data = '{"page": "Home", "actor": "margaret"}'
            call_command("notify", name, "--type", "comment", "--data", data, verbosity=0)
    assert titles() == {"ada": IN_JAPANESE, "grace": IN_ARABIC, "linus": IN_ENGLISH}


def test_by_a_command_to_all(people, margaret):
    with translation.override("de"):
        data = {"page": "Home", "actor": "margaret"}
        call_command("notify", everyone=True, notification_type="comment", data=data, verbosity=0)
    assert titles() == {
        "ada": IN_JAPANESE,
        "grace": IN_ARABIC,
        "linus": IN_ENGLISH,
        "margaret": IN_GERMAN,
    }


def sent_by_the_orm(sender, receiver, headers):
    send(sender, receiver)


def sent_over_http(sender, receiver, headers):
    api = ApiClient()
    assert api.sign_in(sender.username).status_code == 200
    answer = api("POST", "messages", {"receiver": receiver.username, "content": "Hello"}, **headers)
    assert answer.status_code == 201


def sent_over_the_admin(sender, receiver, headers):
    type(sender).objects.filter(pk=sender.pk).update(is_staff=True, is_superuser=True)
    browser = AdminClient(sender)
    fields = {"sender": sender.pk, "receiver": receiver.pk, "content": "Hello"}
    page = browser.client.post(reverse("admin:messaging_message_add"), fields, headers=headers)
    assert page.status_code == 302


def read_by_the_orm(message, reader, headers):
    read(message)


def read_in_bulk(message, reader, headers):
    Message.objects.filter(pk=message.pk).mark_read()


def read_over_http(message, reader, headers):
    api = ApiClient()
    assert api.sign_in(reader.username).status_code == 200
    assert api("POST", f"messages/{message.pk}/read", **headers).status_code == 200


SENDING = [sent_by_the_orm, sent_over_http, sent_over_the_admin]
READING = [read_by_the_orm, read_in_bulk, read_over_http]


@pytest.mark.parametrize("are_contacts", [True, False])
@pytest.mark.parametrize(("sent", "marked"), [*zip(SENDING, READING, strict=True)])
def test_our_own_types_are_in_the_recipients_language(
    sent, marked, are_contacts, people, margaret, in_german, settings
):
    """By our own catalogues. There is none in Arabic, which only this project's demo brings."""
    settings.LOCALE_PATHS = []
    ada, _, linus = people
    if are_contacts:
        contacts.meet(margaret.pk, ada.pk)
    for receiver in people:
        with translation.override("de"):
            sent(margaret, receiver, in_german)
        with translation.override("ja"):
            marked(Message.objects.first(), receiver, {"Accept-Language": "ja"})
    assert titles("new_message") == {
        "ada": "margaretさんからの新しいメッセージ",
        "grace": "New message from margaret",
        "linus": "New message from margaret",
    }
    receipts = Notification.objects.filter(notification_type="message_read").order_by("pk")
    assert [row.title for row in receipts] == [
        f"{name} hat Ihre Nachricht gelesen" for name in ("ada", "grace", "linus")
    ]
    with translation.override("fr"):
        set_online([ada.pk, linus.pk, margaret.pk])
        profiles.set_many_manually([margaret.pk], is_online=False)
    margaret_came = "margaretさんがオンラインになりました"
    online = Notification.objects.filter(notification_type="user_online").values_list(
        "user__username", "title"
    )
    assert sorted(online) == [
        ("ada", margaret_came),
        ("linus", "margaret is online"),
        ("margaret", "ada ist online"),
        ("margaret", "linus ist online"),
    ]
    assert titles("user_offline") == {
        "ada": "margaretさんがオフラインになりました",
        "linus": "margaret is offline",
    }


def test_a_lazy_text_in_the_data_is_in_the_recipients_language(people):
    with translation.override("de"):
        notify_many(people, "announcement", "x", data={"state": [gettext_lazy("shipped")]})
    found = dict(Notification.objects.values_list("user__username", "data"))
    assert found == {
        name: {"state": [text]}
        for name, text in (("ada", "発送済み"), ("grace", "تم الشحن"), ("linus", "shipped"))
    }


def test_numbers_are_written_as_in_the_recipients_language(people, margaret):
    register(NotificationType(name="price", label="Price", title="%(price)s, %(number)s"))
    notify_many([*people, margaret], "price", data={"price": 4.5, "number": 123456})
    assert titles("price")["margaret"] == "4,5, 123456"
    assert titles("price")["ada"] == "4.5, 123456"


def test_many_are_rendered_once_a_language_and_read_in_one_query(
    people, margaret, monkeypatch, django_assert_num_queries
):
    rendered = []
    filled = TextTemplate.filled
    monkeypatch.setattr(
        TextTemplate,
        "filled",
        lambda self, *args: (rendered.append(translation.get_language()), filled(self, *args))[1],
    )
    monkeypatch.setattr("messaging.storing._without_blocked", lambda rows: rows)
    with django_assert_num_queries(2):
        notify_many([*people, margaret] * 50, "comment", data={**DATA, "actor": "margaret"})
    assert sorted(rendered) == ["ar", "de", "en-us", "ja"]


def test_plain_texts_ask_for_no_language(ada, grace, django_assert_num_queries):
    with django_assert_num_queries(1):
        notify(ada, "announcement", "Hello", data=DATA)


# --- Whose language is which --------------------------------------------------------------------------------------


def speaking(user_ids):
    return dict.fromkeys(list(user_ids)[:1], "de")


def failing(user_ids):
    raise RuntimeError("no")


def returning_a_list(user_ids):
    return ["de"]


def unknown(user_ids):
    return dict.fromkeys(user_ids, "tlh")


def test_the_hook_comes_before_the_profile(ada, grace, settings):
    settings.DOORBELL_LANGUAGE_OF = f"{__name__}.speaking"
    UserProfile.objects.filter(user=ada).update(language="ja")
    assert languages.of([ada.pk]) == {ada.pk: "de"}
    assert set(languages.of([ada.pk, grace.pk]).values()) in ({"de", "en-us"}, {"de", "ja"})


@pytest.mark.parametrize("hook", ["failing", "returning_a_list"])
def test_a_hook_that_fails_costs_no_notification(hook, ada, settings, caplog):
    settings.DOORBELL_LANGUAGE_OF = f"{__name__}.{hook}"
    UserProfile.objects.filter(user=ada).update(language="ja")
    assert languages.of([ada.pk]) == {ada.pk: "ja"}
    assert "DOORBELL_LANGUAGE_OF" in caplog.text


@pytest.mark.parametrize("code", ["tlh", "x" * 16, "../../etc", "%s", "de_DE.UTF-8@", "None"])
def test_an_unknown_language_is_the_projects_and_is_logged_once(code, ada, caplog):
    UserProfile.objects.filter(user=ada).update(language=code)
    for _ in range(3):
        notify(ada, "comment", data={**DATA, "actor": "margaret"})
    assert titles() == {"ada": IN_ENGLISH}
    assert caplog.text.count("none of the project's") == 1


@pytest.mark.parametrize(
    ("code", "language"), [("de-at", "de"), ("de-ch-1901", "de"), ("DE", "de"), ("zh-Hans", "zh-hans")]
)
def test_a_variant_is_the_language_that_the_project_has(code, language):
    assert languages.known(code) == language


def test_only_the_languages_of_the_project_are_used(ada):
    UserProfile.objects.filter(user=ada).update(language="ja")
    with override_settings(LANGUAGES=[("en", "English"), ("de", "Deutsch")]):
        forget_the_languages()
        assert languages.of([ada.pk]) == {ada.pk: "en-us"}
    forget_the_languages()


def test_without_translations_there_is_one_language(ada, settings, django_assert_num_queries):
    settings.USE_I18N = False
    UserProfile.objects.filter(user=ada).update(language="ja")
    with django_assert_num_queries(0):
        assert languages.of([ada.pk]) == {ada.pk: "en-us"}
