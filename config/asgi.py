"""The ASGI entry point: HTTP by Django, WebSockets by realtime."""

import os

from realtime.asgi import with_sockets

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
application = with_sockets()
