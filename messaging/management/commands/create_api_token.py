from typing import Any

from django.core.management.base import CommandError, CommandParser

from messaging import logins, tokens, users
from messaging.exceptions import UnknownUser
from messaging.management.arguments import text
from messaging.management.base import DatabaseCommand
from messaging.models import ApiToken


class Command(DatabaseCommand):
    help = "Create an API token and print its secret, shown only this once. Without --user it may publish to any user."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", type=text, help="what the token is for, as shown in the admin")
        parser.add_argument(
            "--user",
            metavar="USERNAME",
            type=text,
            help="the user in whose name the token acts: the name with which they sign in, or id:KEY",
        )
        parser.add_argument(
            "--publish",
            action="store_true",
            help="grant the right to publish; a token without --user always has it",
        )

    def handle(self, *args: Any, name: str, user: str | None, publish: bool, **options: Any) -> None:
        if not 1 <= len(name) <= 100:
            raise CommandError("The name must have 1 to 100 characters.")
        owner = None
        if user is not None:
            owner = logins.given(user, users.people())
            if owner is None:
                raise CommandError(f"There is no user {user!r}.")
        if namesakes := ApiToken.objects.filter(name=name, revoked_at=None).count():
            self.stderr.write(
                f"Valid tokens named {name!r} before this one: {namesakes}. They stay valid; the admin revokes "
                "what isn't used any more."
            )
        try:
            _, secret = tokens.make(name, user=owner, can_publish=publish or owner is None)
        except UnknownUser as error:
            raise CommandError(f"There is no user {user!r}.") from error
        self.stdout.write(secret)
