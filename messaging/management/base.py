"""What the commands have in common: an error of the database is a sentence, and no traceback."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, InterfaceError, OperationalError

from messaging.orm import tables
from messaging.orm.retry import is_conflict


class DatabaseCommand(BaseCommand):
    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except (DatabaseError, InterfaceError) as error:
            if tables.is_missing_table(error):
                raise CommandError(f"{tables.WHAT_TO_DO} ({error})".replace("\n", " ")) from error
            if is_conflict(error):
                raise CommandError(f"Others hold the same rows; try again. ({error})") from error
            if isinstance(error, (OperationalError, InterfaceError)):
                raise CommandError(f"The database doesn't answer: {error}") from error
            raise
