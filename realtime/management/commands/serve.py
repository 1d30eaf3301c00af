"""manage.py serve: the production entry."""

import asyncio
import socket
import sys
from argparse import ArgumentParser
from typing import Any

import uvicorn
from django.core.management.base import BaseCommand, CommandError
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from realtime import protocol, receivers
from realtime.presence import presence


class SocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's, but a client that sends text which isn't UTF-8 leaves no traceback in the log."""

    def send_receive_event_to_app(self) -> None:
        if self.curr_msg_data_type == "text" and not self.close_sent:
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                self.frames = []
                self.conn.send_close(1007)
                self.handle_parser_exception()
                return
        super().send_receive_event_to_app()


class Server(uvicorn.Server):
    """uvicorn, which ends by the signal that stopped it: what has to be done last is done before."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            port = self.servers[0].sockets[0].getsockname()[1]
            host = f"[{self.config.host}]" if ":" in self.config.host else self.config.host
            sys.stdout.write(f"Doorbell listens at http://{host}:{port}/  (Ctrl-C ends it)\n")
            sys.stdout.flush()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets=sockets)
        await asyncio.to_thread(presence.stop)
        await asyncio.to_thread(receivers.flush)


class Command(BaseCommand):
    help = "Serve HTTP and sockets with uvicorn, set up for many long-lived connections."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
        parser.add_argument("--port", type=int, default=8000, help="port to listen on (default 8000)")

    def handle(self, *args: Any, host: str, port: int, **options: Any) -> None:
        if not 0 <= port <= 65535:
            raise CommandError(f"{port} is no port: give a number from 0 to 65535.")
        server = Server(
            uvicorn.Config(
                "config.asgi:application",
                host=host,
                port=port,
                loop="uvloop",
                http="httptools",
                ws=SocketProtocol,
                ws_max_size=protocol.MOST_COMMAND_BYTES,
                # Compressing small frames costs a megabyte a socket, and invites CRIME.
                ws_per_message_deflate=False,
                ws_ping_interval=20,
                ws_ping_timeout=20,
                lifespan="off",
                backlog=2048,
                timeout_graceful_shutdown=15,
                # Django's settings configure logging; uvicorn's access log would show query strings.
                log_config=None,
                access_log=False,
            )
        )
        server.run()
        if not server.started:
            raise CommandError(f"Could not listen at {host}:{port}; is something else listening there?")
