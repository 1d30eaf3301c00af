"""Coming and going, as connections bring it about: all of it through `profiles.apply_presence`."""

from django.db import transaction

from messaging import profiles


def set_online(user_ids):
    with transaction.atomic():
        profiles.apply_presence(profiles.lock(user_ids), live=user_ids)


def set_offline(user_ids):
    with transaction.atomic():
        profiles.apply_presence(profiles.lock(user_ids), live=(), overdue=user_ids)


def set_leaving(user_ids, seconds):
    with transaction.atomic():
        profiles.apply_presence(profiles.lock(user_ids), live=(), leaving=dict.fromkeys(user_ids, seconds))
