"""The ASGI entry point: HTTP by Django, WebSockets by realtime."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
http = get_asgi_application()

from realtime.asgi import with_sockets  # noqa: E402

application = with_sockets(http)
