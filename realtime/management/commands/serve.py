"""manage.py serve: the production server."""

import os
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from messaging import extras
from realtime import protocol
from realtime.conf import conf


class Command(BaseCommand):
    help = (
        "Serve HTTP and WebSockets with uvicorn, set up for many long-lived connections. SIGTERM or SIGINT (Ctrl-C) "
        "drains: at once /readyz answers 503 and handshakes are refused; then the process stops listening, and its "
        "sockets are closed with 1012, spread over a few seconds. A second signal ends the process at once."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
        parser.add_argument("--port", type=int, default=8000, help="port to listen on (default 8000)")
        parser.add_argument(
            "--predrain-seconds",
            type=float,
            default=conf.predrain_seconds,
            metavar="SECONDS",
            help="how long to keep listening after the signal, so that a load balancer notices the 503 of /readyz: "
            "a little more than the interval of its checks (default %(default)g, or REALTIME_PREDRAIN_SECONDS)",
        )
        parser.add_argument(
            "--drain-seconds",
            type=float,
            default=conf.drain_seconds,
            metavar="SECONDS",
            help="over how long the closing of the sockets is spread; a few sockets take less "
            "(default %(default)g, or REALTIME_DRAIN_SECONDS)",
        )

    def handle(
        self, *args: Any, host: str, port: int, predrain_seconds: float, drain_seconds: float, **options: Any
    ) -> None:
        if error := extras.missing("server", "manage.py serve"):
            raise CommandError(error)
        if not 0 <= port <= 65535:
            raise CommandError(f"--port {port}: use a number from 0 to 65535.")
        for name, seconds in (("predrain", predrain_seconds), ("drain", drain_seconds)):
            if not 0 <= seconds <= 3600:
                raise CommandError(f"--{name}-seconds {seconds:g}: use a number from 0 to 3600.")
        # Optional, so imported only here.
        import uvicorn

        from realtime.server.http_protocol import HttpProtocol
        from realtime.server.server import CANCEL_SECONDS, REQUEST_SECONDS, Server
        from realtime.server.websocket_protocol import SocketProtocol

        # Its own, for a project that has none, such as one that is served by WSGI otherwise.
        application = getattr(settings, "ASGI_APPLICATION", None) or "realtime.asgi.application"
        module, _, name = application.rpartition(".")
        trusted_proxies = os.environ.get("FORWARDED_ALLOW_IPS", "")
        config = uvicorn.Config(
            f"{module}:{name}",
            host=host,
            port=port,
            loop="uvloop",
            http=HttpProtocol,
            ws=SocketProtocol,
            ws_max_size=protocol.MAX_COMMAND_BYTES,
            # Compression of small frames costs a megabyte per socket, and enables attacks like CRIME.
            ws_per_message_deflate=False,
            ws_ping_interval=conf.ping_seconds,
            ws_ping_timeout=conf.ping_seconds,
            lifespan="off",
            backlog=2048,
            timeout_graceful_shutdown=REQUEST_SECONDS + CANCEL_SECONDS,
            # Django's settings configure logging; uvicorn's access log would show query strings.
            log_config=None,
            access_log=False,
            server_header=False,
            # By default uvicorn trusts the headers of any proxy on this host, whatever client they name.
            proxy_headers=bool(trusted_proxies),
            forwarded_allow_ips=trusted_proxies,
        )
        server = Server(config, predrain_seconds, drain_seconds)
        try:
            server.run()
        except SystemExit:
            # uvicorn exits like this when it can't listen, after logging why.
            if server.started:
                raise
        if not server.started:
            raise CommandError(
                f"Could not listen at {host}:{port}, for the reason above. Another port: --port, or make run PORT=8080."
            )
