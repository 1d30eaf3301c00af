"""The demo's people: `manage.py seed_demo` creates them, and the demo page signs in as one of them."""

from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.db.models.functions import Now

from messaging.models import ApiToken

LABEL = "demo page"  # the name of the API tokens that the page makes
PEOPLE = {
    "ada": "Ada Lovelace",
    "grace": "Grace Hopper",
    "linus": "Linus Torvalds",
    "margaret": "Margaret Hamilton",
}


def people() -> QuerySet[User]:
    """Return those who exist, leaving out staff and superusers."""
    users = get_user_model().objects.filter(username__in=PEOPLE, is_active=True)
    return users.filter(is_staff=False, is_superuser=False).order_by("username")


def delete_old_tokens(**of: Any) -> None:
    """Delete the page's tokens older than a day: a page revokes its own when it is left, unless it crashes."""
    ApiToken.objects.filter(name=LABEL, created_at__lt=Now() - timedelta(days=1), **of).delete()
