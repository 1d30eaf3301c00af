"""The peers: a Django project as Channels' tutorial makes it, and a python-socketio server. They know no Doorbell."""
