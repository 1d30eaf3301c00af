from types import SimpleNamespace

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import translation

from config.demo import hearts as hearts_views
from config.demo import notification_types  # noqa: F401  it is registered where DEMO is set
from messaging import blocks, inboxes, languages, tokens
from messaging.models import Message, Notification
from messaging.notifications import assign_revisions
from messaging.profiles import set_preferences

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def demo(settings):
    settings.DEMO = True


@pytest.fixture
def message(ada, grace):
    grace.first_name, grace.last_name = "Grace", "Hopper"
    grace.save()
    return Message.objects.create(sender=ada, receiver=grace, content="Shall we compile it?")


def post(user, path):
    _, secret = tokens.make("test", user=user)
    browser = Client(enforce_csrf_checks=True)
    return browser.post(path, headers={"Authorization": f"Bearer {secret}"})


def send_heart(user, message):
    return post(user, f"/demo/messages/{message.pk}/heart")


def hearts(user):
    return list(Notification.objects.filter(user=user, notification_type="heart"))


def test_a_heart_has_data_texts_an_icon_and_an_action(ada, grace, message):
    assert send_heart(grace, message).status_code == 204
    _, secret = tokens.make("reader", user=ada)
    answer = Client().get("/api/v1/notifications", headers={"Authorization": f"Bearer {secret}"}).json()
    (heart,) = [row for row in answer["items"] if row["notification_type"] == "heart"]
    assert heart["title"] == "Grace Hopper sent you a heart"
    assert heart["description"] == "Shall we compile it?"
    assert heart["data"] == {
        "name": "Grace Hopper",
        "message_id": message.pk,
        "excerpt": "Shall we compile it?",
    }
    assert (heart["icon"], heart["level"], heart["actor"]["username"]) == ("heart", "success", "grace")
    thanks = f"/demo/messages/{message.pk}/thanks"
    assert heart["actions"] == [{"label": "Say thanks", "url": thanks, "method": "POST"}]


@pytest.mark.parametrize(
    ("language", "one", "several", "action", "thanks"),
    [
        (
            "de",
            "Grace Hopper hat Ihnen ein Herz geschickt",
            "4 Herzen für Sie, zuletzt von linus",
            "Bedanken",
            "Danke!",
        ),
        (
            "es",
            "Grace Hopper te ha enviado un corazón",
            "4 corazones para ti; el último, de linus",
            "Dar las gracias",
            "¡Gracias!",
        ),
        (
            "fr",
            "Grace Hopper vous a envoyé un cœur",
            "4 cœurs pour vous (dernier\u00a0: linus)",
            "Remercier",
            "Merci\u202f!",
        ),
        (
            "ja",
            "Grace Hopperさんからハートが届きました",
            "ハートが4個届いています（最新：linusさん）",  # noqa: RUF001
            "お礼を送る",
            "ありがとうございます！",  # noqa: RUF001
        ),
        (
            "ar",
            "وصلك قلب من Grace Hopper",
            "عدد القلوب: 4، وآخرها من linus",
            "إرسال شكر",
            "شكرًا جزيلًا!",
        ),
        (
            "en",
            "Grace Hopper sent you a heart",
            "4 hearts for you, the latest from linus",
            "Say thanks",
            "Thank you!",
        ),
    ],
)
def test_hearts_of_several_people_become_one_in_the_recipients_language(
    ada, grace, linus, message, language, one, several, action, thanks
):
    set_preferences(ada, language=language)
    set_preferences(grace, language="de")
    other = Message.objects.create(sender=ada, receiver=linus, content="And you?")
    with translation.override("fr"):
        send_heart(grace, message)
    assign_revisions([ada.pk])
    (heart,) = hearts(ada)
    assert heart.title == one
    before = inboxes.unread_count(ada.pk)
    for user, about in ((grace, message), (grace, message), (linus, other)):
        send_heart(user, about)
        assign_revisions([ada.pk])
    (group,) = hearts(ada)
    assert (group.title, group.description, group.group_count) == (several, "And you?", 4)
    assert inboxes.unread_count(ada.pk) == before
    _, secret = tokens.make("reader", user=ada)
    headers = {"Authorization": f"Bearer {secret}"}
    members = Client().get(f"/api/v1/notifications/{group.pk}/members", headers=headers).json()["items"]
    assert [row["title"].replace("linus", "Grace Hopper") for row in members] == [one] * 4
    assert {row["actions"][0]["label"] for row in members} == {action}

    # What the action does: a message in the language of the one who says it.
    assert post(ada, members[0]["actions"][0]["url"]).status_code == 204
    said = Message.objects.latest("pk")
    assert (said.sender, said.receiver, said.content) == (ada, linus, thanks)


def test_only_the_receiver_sends_hearts_and_only_the_sender_says_thanks(ada, grace, linus, message):
    for user in (ada, linus):
        assert send_heart(user, message).json()["code"] == "not_found"
    for user in (grace, linus):
        answer = post(user, f"/demo/messages/{message.pk}/thanks")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    for number in (0, 10**30):
        assert post(grace, f"/demo/messages/{number}/heart").status_code == 404
    assert not hearts(ada)
    assert Message.objects.count() == 1


def test_who_is_blocked_sends_none_unnoticed(ada, grace, message):
    blocks.block(ada.pk, grace.pk)
    assert send_heart(grace, message).status_code == 204
    assert not hearts(ada)


def test_a_long_message_is_cut(ada, grace):
    message = Message.objects.create(sender=ada, receiver=grace, content="𝄞" * 1000)
    assert send_heart(grace, message).status_code == 204
    (heart,) = hearts(ada)
    assert heart.data["excerpt"] == "𝄞" * 200


@pytest.mark.parametrize("what", ["heart", "thanks"])
def test_a_session_needs_its_csrf_token_and_nothing_is_there_without_demo(settings, grace, message, what):
    path = f"/demo/messages/{message.pk}/{what}"
    assert Client().post(path).status_code == 401
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(grace)
    assert browser.post(path).json()["code"] == "csrf_failed"
    assert browser.get(path).status_code == 405
    settings.DEMO = False
    assert post(grace, path).status_code == 404


def test_a_receiver_who_is_deleted_meanwhile_gets_no_thanks(ada, grace, message, monkeypatch):
    def of(users):
        grace.delete()
        return languages.of(users)

    monkeypatch.setattr(hearts_views, "languages", SimpleNamespace(of=of))
    answer = post(ada, f"/demo/messages/{message.pk}/thanks")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_user")


def test_a_database_that_is_away_is_answered_as_by_the_api(grace, message, monkeypatch):
    def fail(*args, **values):
        raise OperationalError("the connection is closed")

    monkeypatch.setattr(hearts_views, "notify", fail)
    answer = send_heart(grace, message)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")


def test_a_broken_form_is_the_clients_error(grace):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(grace)
    token = browser.get("/api/v1/session").json()["csrf_token"]
    answer = browser.generic(
        "POST",
        "/demo/sign-in",
        b"--x",
        content_type="multipart/form-data; boundary=x",
        headers={"X-CSRFToken": token},
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "not_json")
