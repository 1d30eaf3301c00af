"""HTTP without sockets, for a host that has only WSGI. Notifications made here reach the sockets all the same."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

application = get_wsgi_application()
