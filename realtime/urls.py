"""The API, wherever a project includes this. The socket is beside it: realtime/mount.py."""

from django.urls import path

from messaging.app_labels import require

require("messaging", "realtime")

# Models can be imported only of apps that are installed.
from . import mount  # noqa: E402
from .http import api, upgrade  # noqa: E402

urlpatterns = [*api.urls(), path(mount.SOCKET, upgrade.upgrade_required)]
