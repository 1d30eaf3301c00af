"""Connects receivers to what is saved and deleted of users, whichever of the classes that share their rows it is."""

from collections.abc import Callable
from typing import Any

from django.apps import apps
from django.db.models import Model
from django.db.models.signals import ModelSignal, class_prepared

from .users import is_model_or_proxy, shares_row


def connect_saving(signal: ModelSignal, receiver: Callable[..., None], dispatch_uid: str) -> None:
    """Connect a receiver of `post_save`: Django sends it once, with the class of the instance."""
    _connect(signal, receiver, dispatch_uid, shares_row)


def connect_deletion(signal: ModelSignal, receiver: Callable[..., None], dispatch_uid: str) -> None:
    """Connect a receiver of a deletion, which Django sends with the proxy, or for each table of a child's instance.

    Without a sender it would take the fast deletion of all other models away.
    """
    _connect(signal, receiver, dispatch_uid, is_model_or_proxy)


def _connect(
    signal: ModelSignal,
    receiver: Callable[..., None],
    dispatch_uid: str,
    is_meant: Callable[[type[Model]], bool],
) -> None:
    def connect_to(sender: type[Model], **kwargs: Any) -> None:
        if is_meant(sender):
            signal.connect(receiver, sender=sender, dispatch_uid=dispatch_uid)

    for known in apps.get_models():
        connect_to(known)
    class_prepared.connect(connect_to, weak=False, dispatch_uid=f"{dispatch_uid}.later")
