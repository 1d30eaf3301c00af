"""The WSGI entry point: HTTP without sockets. Notifications created here still reach the sockets of other processes."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

http = get_wsgi_application()

from realtime.http.body_limit import WsgiBodyLimit  # noqa: E402
from realtime.http.request_ids import WsgiRequestId  # noqa: E402

application = WsgiRequestId(WsgiBodyLimit(http))
