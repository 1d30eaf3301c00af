"""The API, wherever a project includes this. The socket is beside it: realtime/mount.py."""

from .http import api

urlpatterns = api.urls()
