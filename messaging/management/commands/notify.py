import json
import secrets
import time
from argparse import ArgumentTypeError
from typing import Any

from django.contrib.auth.models import Group
from django.core.management.base import CommandError, CommandParser

from messaging import logins, notification_types, notifications, users
from messaging.broadcasting import Progress, broadcast
from messaging.exceptions import MessagingError
from messaging.management.arguments import text
from messaging.management.base import DatabaseCommand

PROGRESS_SECONDS = 2.0


class Command(DatabaseCommand):
    help = (
        "Send a notification to one user, to all active users (--all), or to those of a group (--group), on every "
        "device. Returns when it has been handed to the channel layer. To many it is sent in batches: the first hear "
        "while the last are being stored. One that was interrupted goes on when it is started again with the --key "
        "that it printed, and then notifies no user twice."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.usage = (
            "%(prog)s [options] USER TITLE [DESCRIPTION]\n"
            "       %(prog)s [options] (--all | --group NAME) [--key KEY] TITLE [DESCRIPTION]"
        )
        parser.add_argument(
            "words",
            nargs="*",
            metavar="USER TITLE DESCRIPTION",
            help="USER: the name with which the user signs in, or id:KEY; left out with --all or --group. TITLE: 1 to "
            "200 characters; left out where the type makes it of the data. DESCRIPTION: up to 500, optional",
        )
        many = parser.add_mutually_exclusive_group()
        many.add_argument("--all", action="store_true", dest="everyone", help="notify all active users")
        many.add_argument("--group", metavar="NAME", type=text, help="notify the active users of this group")
        parser.add_argument(
            "--key",
            type=text,
            help="with --all or --group: each user is notified once with the same key, so give it again to go on "
            "(default: a new one)",
        )
        parser.add_argument(
            "--type",
            dest="notification_type",
            metavar="TYPE",
            default=notification_types.ANNOUNCEMENT.name,
            help="a declared type's name (default: %(default)s)",
        )
        parser.add_argument("--level", help="info, success, warning or error (default: the type's own)")
        parser.add_argument("--url", help="where a click leads: /… on this site, or http(s)://…")
        parser.add_argument(
            "--data",
            metavar="JSON",
            type=json_object,
            help="a JSON object for clients, and for the type's texts",
        )

    def handle(self, *args: Any, words: list[str], **options: Any) -> None:
        # A type with a title of its own needs none.
        own = notification_types.makes_titles(options["notification_type"])
        try:
            if options["everyone"] or options["group"] is not None:
                self.notify_many(*_texts(words, "TITLE [DESCRIPTION]", 1, own), **options)
            else:
                self.notify_one(*_texts(words, "USER TITLE [DESCRIPTION]", 2, own), **options)
        except MessagingError as error:
            raise CommandError(str(error)) from error

    def notify_one(self, user: str, title: str | None = None, description: str = "", **options: Any) -> None:
        if options["key"] is not None:
            raise CommandError("--key goes with --all or --group.")
        try:
            receiver = logins.given(text(user))
        except ArgumentTypeError as error:
            raise CommandError(str(error)) from error
        if receiver is None:
            raise CommandError(f"There is no active user {user!r}.")
        row = notifications.notify(
            receiver, options["notification_type"], title, description, **_chosen(options)
        )
        if row is not None and options["verbosity"] > 0:
            self.stdout.write(f"Notified {user}: notification {row.pk}.")

    def notify_many(self, title: str | None = None, description: str = "", **options: Any) -> None:
        key = options["key"] or f"notify:{secrets.token_hex(6)}"
        group_id = None if options["group"] is None else _group(options["group"]).pk
        sending = broadcast(
            users.only_active(users.active_of(group_id)),
            options["notification_type"],
            title,
            description,
            key=key,
            **_chosen(options),
        )
        self.talkative = options["verbosity"] > 0
        self.say(f"Sending. If it is interrupted, the same command goes on with --key {key}")
        progress, shown = Progress(0, None), time.monotonic()
        try:
            for progress in sending:
                if time.monotonic() - shown >= PROGRESS_SECONDS:
                    shown = time.monotonic()
                    self.say(_sentence(progress))
        except KeyboardInterrupt:
            # Every batch is committed.
            text = f"Stopped: {_sentence(progress)} The rest: the same command with --key {key}"
            raise CommandError(text, returncode=130) from None
        self.say(f"Notified {progress.done:,} users.")

    def say(self, sentence: str) -> None:
        if self.talkative:
            self.stdout.write(sentence)
            self.stdout.flush()


def _texts(words: list[str], usage: str, least: int, title_is_made: bool) -> list[str]:
    if not least - title_is_made <= len(words) <= least + 1:
        what = "given" if len(words) == 1 else "given: put quotation marks around a text with spaces"
        raise CommandError(f"Expected {usage}; {len(words)} arguments were {what}.")
    return words


def _chosen(options: dict[str, Any]) -> dict[str, Any]:
    return {name: options[name] for name in ("level", "url", "data")}


def json_object(given: str) -> dict[str, Any]:
    try:
        data = json.loads(given)
    except ValueError as error:
        raise ArgumentTypeError(f"not JSON: {error}") from None
    if not isinstance(data, dict):
        raise ArgumentTypeError("a JSON object is needed, such as '{\"order\": 7}'")
    return data


def _group(name: str) -> Group:
    if not users.has_groups():
        raise CommandError("The users of this project have no groups.")
    group = Group.objects.filter(name=name).first()
    if group is None:
        known = ", ".join(map(repr, Group.objects.order_by("name").values_list("name", flat=True)[:20]))
        raise CommandError(f"There is no group {name!r}; there are: {known or 'none'}.")
    return group


def _sentence(progress: Progress) -> str:
    of = "" if progress.total is None else f" of {progress.total:,}"
    return f"{progress.done:,}{of} users."
