"""A URLconf from which Doorbell's addresses are missing."""

from typing import Any

urlpatterns: list[Any] = []
