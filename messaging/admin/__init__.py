"""The domain in Django's admin. What is done here goes through the domain's writers, so every open tab hears of it."""

from . import inboxes, messages, notifications, people, tokens

__all__ = ["inboxes", "messages", "notifications", "people", "tokens"]
