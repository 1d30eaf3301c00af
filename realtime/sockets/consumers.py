"""One consumer per WebSocket: handshake, commands, cleanup. Frames are sent by the hub (realtime/delivery)."""

import asyncio
import logging
import random
import time
from typing import Any, cast
from urllib.parse import parse_qs

from channels.generic.websocket import AsyncWebsocketConsumer
from channels.security.websocket import WebsocketDenier
from django.db import Error as DatabaseError

from messaging.addresses import network_of
from messaging.orm import tables
from messaging.token_bucket import TokenBucket
from realtime import auth, counters, pacing, protocol
from realtime.conf import conf
from realtime.delivery import drain
from realtime.delivery.client_socket import ClientSocket, Send
from realtime.delivery.hub import running_hub
from realtime.delivery.position import ResumeRequest
from realtime.presence.writer import presence_writer
from realtime.protocol import CloseCode

from .admissions import running_admissions
from .daphne_backpressure import with_backpressure

logger = logging.getLogger(__name__)

FRAMES_PER_SECOND, FRAMES_PER_BURST = 5.0, 60
# How long a client gets to answer a close frame.
CLOSE_SECONDS = 5.0
# Refused Origins that are logged as warnings, each once a process.
MAX_WARNED_ORIGINS = 20
_warned_origins: set[str] = set()


class NotificationConsumer(AsyncWebsocketConsumer):
    """Has no channel of its own: the hub's channel receives for all sockets of the process."""

    channel_layer_alias = None  # type: ignore[assignment]  # documented by Channels, missing in its stubs

    def __init__(self) -> None:
        super().__init__()
        self.socket: ClientSocket | None = None
        self.max_age_timer: asyncio.TimerHandle | None = None
        self.frames = TokenBucket(FRAMES_PER_SECOND, FRAMES_PER_BURST)
        self.invalid_commands = 0
        # A sliding window: "at most six a minute" is exact, and a token bucket of six would let twelve through in one.
        self.resumed_at: list[float] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve the socket. However it ends, it is removed from the hub and from presence."""
        self.scope, self.base_send = scope, send
        try:
            await self._serve(receive)
        except OSError:
            # The connection was lost while something was being sent.
            pass
        finally:
            self._clean_up()

    async def _serve(self, receive: Any) -> None:
        await receive()  # websocket.connect
        login = await self._admit(receive)
        if login is None:
            return
        query = parse_qs(self.scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given, epoch = query.get("since", [None])[-1], query.get("epoch", [None])[-1]
        request = None if given is None else ResumeRequest(protocol.parse_since(given), epoch)
        send = with_backpressure(cast("Send", self.base_send))
        hub = running_hub()
        self.socket = socket = ClientSocket(login, send, request, enqueue=hub.recovery.enqueue)
        age = conf.max_age_seconds * random.uniform(0.9, 1)  # noqa: S311
        loop = asyncio.get_running_loop()
        self.max_age_timer = loop.call_later(age, socket.close, CloseCode.MAX_AGE, "too old")
        presence_writer.start()
        presence_writer.opened(socket.id, socket.user_id, login.hash)
        named = {"user": socket.user_id, "connection": socket.id}
        logger.debug("opened: user=%(user)s connection=%(connection)s", named)
        await hub.attach(socket)
        await self._listen(socket, receive)

    async def _listen(self, socket: ClientSocket, receive: Any) -> None:
        message: asyncio.Future[Any] | None = None
        try:
            while True:
                message = asyncio.ensure_future(receive())
                await asyncio.wait({message, socket.closed}, return_when=asyncio.FIRST_COMPLETED)
                if not message.done():
                    # The server has closed it. Further commands are ignored; the client's close frame is awaited.
                    await asyncio.wait({message}, timeout=CLOSE_SECONDS)
                    return
                if message.result()["type"] == "websocket.disconnect":
                    if message.result().get("code") == CloseCode.SERVICE_RESTART:
                        # uvicorn closed it at shutdown.
                        socket.abandon(CloseCode.SERVICE_RESTART)
                    return
                if not socket.is_closing:
                    self._command(socket, message.result())
                    if delay := pacing.frames.take(socket.user_id, 1):
                        await asyncio.wait({socket.closed}, timeout=delay)
        finally:
            if message is not None:
                message.cancel()

    # --- Handshake and cleanup ----------------------------------------------------------------------------------------

    async def _admit(self, receive: Any) -> auth.Login | None:
        """Accept or refuse the handshake."""
        if drain.draining:
            # Another process, or this one's successor, accepts the client a moment later.
            await self._refuse_for_now("draining")
            return None
        offered = self.scope.get("subprotocols", [])
        subprotocol = protocol.SUBPROTOCOL if protocol.SUBPROTOCOL in offered else None
        prefix = protocol.TICKET_PREFIX
        ticket = next((name.removeprefix(prefix) for name in offered if name.startswith(prefix)), None)
        try:
            login = await running_admissions().login(
                auth.Handshake(dict(self.scope), ticket), self._address()
            )
        except auth.BadOrigin as error:
            log_bad_origin(str(error))
            await self.close()
            return None
        except (DatabaseError, TimeoutError) as error:
            logger.warning(
                "handshake refused: %s; the client reconnects: %r", tables.what_failed(error), error
            )
            await self._refuse_for_now("unavailable")
            return None
        if login is not None and not await self._is_its_turn(login.user_id, receive):
            return None
        await self.accept(subprotocol)
        if login is None:
            # After the accept: browsers don't show a script why a handshake was refused.
            await self.close(int(CloseCode.UNAUTHENTICATED), "not signed in")
        return login

    async def _is_its_turn(self, user_id: Any, receive: Any) -> bool:
        """Wait until this user may have another socket. Returns False if there is no answer to be given any more."""
        delay = pacing.handshakes.wait(user_id)
        if delay >= pacing.MAX_WAIT_SECONDS:
            # A client of theirs opens more and more. What has waited so long isn't added to what waits.
            await self._refuse_for_now("too many handshakes")
            return False
        pacing.handshakes.take(user_id, 1)
        if delay:
            disconnect = asyncio.ensure_future(receive())
            left, _ = await asyncio.wait({disconnect}, timeout=delay)
            disconnect.cancel()
            return not left
        return True

    def _address(self) -> str:
        return network_of(str((self.scope.get("client") or ("",))[0]))

    async def _refuse_for_now(self, reason: str) -> None:
        """Answer 503: a client may try again. (Under Daphne 403.) To a browser both are a lost connection."""
        if not self._server_has_denial_responses():
            await self.close()
            return
        send = cast("Send", self.base_send)
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"retry-after", b"1")]
        await send({"type": "websocket.http.response.start", "status": 503, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": reason.encode()})

    def _clean_up(self) -> None:
        if self.max_age_timer is not None:
            self.max_age_timer.cancel()
        # Nothing is awaited here: when the task is being cancelled, an await would raise and skip the rest.
        if self.socket is not None:
            counters.sockets_closed.labels(str(self.socket.close_code or "client")).inc()
            named = {
                "user": self.socket.user_id,
                "connection": self.socket.id,
                "code": self.socket.close_code,
            }
            logger.debug("closed: user=%(user)s connection=%(connection)s code=%(code)s", named)
            presence_writer.closed(self.socket.id, self.socket.user_id, self.socket.close_code)
            self.socket.abandon()
            running_hub().detach(self.socket)

    # --- Commands -----------------------------------------------------------------------------------------

    def _command(self, socket: ClientSocket, message: dict[str, Any]) -> None:
        if not self.frames.take():
            socket.close(CloseCode.RATE_LIMITED, "too many frames")
            return
        text = message.get("text")
        if text is None:
            socket.close(CloseCode.PROTOCOL_ERROR, "binary frame")
            return
        if len(text) > protocol.MAX_COMMAND_BYTES or len(text.encode()) > protocol.MAX_COMMAND_BYTES:
            socket.close(self._too_big_code(), "frame over 4 KiB")
            return
        try:
            command = protocol.decode(text)
        except protocol.BadCommand as error:
            self.invalid_commands += 1
            socket.send_after_hello(error.frame.encode())
            if self.invalid_commands >= protocol.MAX_INVALID_COMMANDS:
                socket.close(CloseCode.PROTOCOL_ERROR, "too many invalid frames")
            return
        if isinstance(command, protocol.PingCommand):
            socket.send_after_hello(protocol.PongFrame(ref=command.ref).encode())
        else:
            self._resume(socket, command)

    def _resume(self, socket: ClientSocket, command: protocol.ResumeCommand) -> None:
        now = time.monotonic()
        self.resumed_at = [moment for moment in self.resumed_at if now - moment <= 60]
        if len(self.resumed_at) >= protocol.RESUMES_PER_MINUTE:
            detail = f"At most {protocol.RESUMES_PER_MINUTE} resumes a minute."
        elif not socket.is_live:
            detail = "A catch-up is under way: wait for synced or reset."
        else:
            self.resumed_at.append(now)
            socket.resume(ResumeRequest(command.since, command.epoch))
            return
        socket.send_after_hello(
            protocol.ErrorFrame(code="not_allowed", detail=detail, ref=command.ref).encode()
        )

    def _too_big_code(self) -> int:
        # Daphne can't send the close codes that RFC 6455 reserves.
        return CloseCode.TOO_BIG if self._server_has_denial_responses() else CloseCode.PROTOCOL_ERROR

    def _server_has_denial_responses(self) -> bool:
        """Whether the server can refuse a handshake with an HTTP response. (Daphne can't; it is recognised by this.)"""
        return "websocket.http.response" in (self.scope.get("extensions") or {})


def log_bad_origin(origin: str) -> None:
    """Log a refused Origin: as a warning for the first ones of a process, since a missing setting looks like this."""
    level = logging.INFO
    if origin not in _warned_origins and len(_warned_origins) < MAX_WARNED_ORIGINS:
        _warned_origins.add(origin)
        level = logging.WARNING
    hint = "if its pages may open sockets, add it to REALTIME_ORIGINS"
    logger.log(level, "handshake refused with 403: Origin %.200r isn't this server's; %s", origin, hint)


class UnknownPath(WebsocketDenier):
    """Rejects handshakes on unknown paths, so that URLRouter doesn't raise. Without a channel, which nothing uses."""

    channel_layer_alias = None  # type: ignore[assignment]  # documented by Channels, missing in its stubs
