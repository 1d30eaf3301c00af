from typing import Any

from django.core.management.base import CommandError, CommandParser

from messaging import logins, notification_types, notifications
from messaging.exceptions import MessagingError
from messaging.management.arguments import text
from messaging.management.base import DatabaseCommand


class Command(DatabaseCommand):
    help = (
        "Send a user a notification, on every device. Returns when it has been handed to the channel layer."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", type=text, help="the name with which the user signs in, or id:KEY")
        parser.add_argument("title", help="1 to 200 characters")
        parser.add_argument("description", nargs="?", default="", help="up to 500 characters")
        parser.add_argument(
            "--type",
            dest="notification_type",
            metavar="TYPE",
            default=notification_types.ANNOUNCEMENT.name,
            help="a declared type's name (default: %(default)s)",
        )
        parser.add_argument("--level", help="info, success, warning or error (default: the type's own)")
        parser.add_argument("--url", help="where a click leads: /… on this site, or http(s)://…")

    def handle(self, *args: Any, user: str, title: str, description: str, **options: Any) -> None:
        receiver = logins.given(user)
        if receiver is None:
            raise CommandError(f"There is no active user {user!r}.")
        chosen = {name: options[name] for name in ("level", "url")}
        try:
            row = notifications.notify(receiver, options["notification_type"], title, description, **chosen)
        except MessagingError as error:
            raise CommandError(str(error)) from error
        if row is not None and options["verbosity"] > 0:
            self.stdout.write(f"Notified {user}: notification {row.pk}.")
