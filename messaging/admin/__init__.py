"""The domain in Django's admin. Changes go through the domain's writers, so that every open tab gets them."""

from . import blocks, broadcasts, inboxes, login, messages, notifications, tokens, users

__all__ = ["blocks", "broadcasts", "inboxes", "login", "messages", "notifications", "tokens", "users"]
