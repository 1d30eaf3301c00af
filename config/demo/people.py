"""The demo's people: `manage.py seed_demo` creates them, and the demo page signs in as one of them."""

from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.db.models import QuerySet

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
