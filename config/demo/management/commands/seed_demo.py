from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from config.demo.people import PEOPLE, delete_old_tokens
from messaging.models import Message

PASSWORD = "doorbell"  # noqa: S105  it is printed, and only for the demo
ADMIN = "admin"
MESSAGES = (
    ("ada", "grace", "The new compiler runs. Come and see!"),
    ("grace", "ada", "On my way. Mind the moth in relay 70."),
    ("linus", "ada", "Could you review my patch before the weekend?"),
    ("margaret", "ada", "Lunch at noon? The guidance program passed all its tests."),
    ("grace", "linus", "Your build is green again."),
    ("linus", "margaret", "How did you get priority displays so right?"),
    ("margaret", "grace", "Your lecture tonight: may I bring my daughter?"),
)


class Command(BaseCommand):
    help = (
        "Create the demo's four people, who have exchanged a few messages, and a superuser. "
        "Existing accounts are left unchanged."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--force", action="store_true", help="create them even if DEMO is off (known passwords!)"
        )

    def handle(self, *args: Any, force: bool, **options: Any) -> None:
        if not getattr(settings, "DEMO", False) and not force:
            raise CommandError(
                "DEMO is off, and this would create accounts with known passwords. Set DEMO=1, or use --force."
            )
        delete_old_tokens()
        with transaction.atomic():
            created = self.create_people()
            if created:
                self.create_messages(created)
        self.stdout.write(f"Demo people: {', '.join(PEOPLE)}. Superuser: {ADMIN}, at /admin/.")
        self.stdout.write(f"Password of each, unless you have changed it: {PASSWORD}")

    def create_people(self) -> set[str]:
        """Create those who are missing, and return their names."""
        user = get_user_model()
        known = set(user.objects.filter(username__in=[*PEOPLE, ADMIN]).values_list("username", flat=True))
        missing = [name for name in (*PEOPLE, ADMIN) if name not in known]
        # One hash for all: hashing is slow on purpose, and the password is no secret.
        password = make_password(PASSWORD) if missing else ""
        for name in missing:
            first_name, _, last_name = PEOPLE.get(name, "").partition(" ")
            user.objects.create(
                username=name,
                email=f"{name}@example.com",
                password=password,
                first_name=first_name,
                last_name=last_name,
                is_staff=name == ADMIN,
                is_superuser=name == ADMIN,
            )
        return set(missing)

    def create_messages(self, created: set[str]) -> None:
        """Create the messages from and to those created in this run; the first few have been read."""
        users = get_user_model().objects.in_bulk(PEOPLE, field_name="username")
        for number, (sender, receiver, content) in enumerate(MESSAGES):
            if not created & {sender, receiver}:
                continue
            message = Message.objects.create(sender=users[sender], receiver=users[receiver], content=content)
            if number < 2:
                message.is_read = True
                message.save(update_fields=["is_read"])
