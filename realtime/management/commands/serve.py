"""manage.py serve: the production entry."""

from argparse import ArgumentParser
from typing import Any

import uvicorn
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from realtime import protocol
from realtime.conf import conf
from realtime.server.protocols import HttpProtocol, SocketProtocol
from realtime.server.server import REQUEST_SECONDS, Server


class Command(BaseCommand):
    help = (
        "Serve HTTP and sockets with uvicorn, set up for many long-lived connections. SIGTERM or SIGINT (Ctrl-C) "
        "drains: /readyz answers 503 and handshakes are refused at once; then nobody is let in any more, and the "
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
            help="told to stop, how long to go on listening, so that a load balancer notices the 503 of /readyz: "
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
        if not 0 <= port <= 65535:
            raise CommandError(f"{port} is no port: give a number from 0 to 65535.")
        for name, seconds in (("predrain", predrain_seconds), ("drain", drain_seconds)):
            if not 0 <= seconds <= 3600:
                raise CommandError(f"--{name}-seconds {seconds:g}: give a number from 0 to 3600.")
        if not getattr(settings, "ASGI_APPLICATION", None):
            raise CommandError("ASGI_APPLICATION isn't set: see docs/install.md.")
        module, _, name = settings.ASGI_APPLICATION.rpartition(".")
        config = uvicorn.Config(
            f"{module}:{name}",
            host=host,
            port=port,
            loop="uvloop",
            http=HttpProtocol,
            ws=SocketProtocol,
            ws_max_size=protocol.MAX_COMMAND_BYTES,
            # Compressing small frames costs a megabyte a socket, and invites CRIME.
            ws_per_message_deflate=False,
            ws_ping_interval=conf.ping_seconds,
            ws_ping_timeout=conf.ping_seconds,
            lifespan="off",
            backlog=2048,
            timeout_graceful_shutdown=REQUEST_SECONDS,
            # Django's settings configure logging; uvicorn's access log would show query strings.
            log_config=None,
            access_log=False,
        )
        server = Server(config, predrain_seconds, drain_seconds)
        try:
            server.run()
        except SystemExit:
            # So uvicorn ends, having logged it, when it can't listen.
            if server.started:
                raise
        if not server.started:
            raise CommandError(
                f"Could not listen at {host}:{port}, for the reason above. Another port: --port, or make run PORT=8080."
            )
