"""The socket's consumer: it greets, listens to commands and says goodbye. What it sends comes from the hub."""

import asyncio
import logging
import random
import time
from collections import deque
from typing import Any, cast
from urllib.parse import parse_qs

from channels.generic.websocket import AsyncWebsocketConsumer
from django.db import Error as DatabaseError

from realtime import auth, counters, protocol
from realtime.conf import conf
from realtime.db import in_thread
from realtime.delivery import drain
from realtime.delivery.client_socket import Connection, Send
from realtime.delivery.hub import running_hub
from realtime.presence.writer import presence_writer
from realtime.protocol import CloseCode

from .backpressure import paced

logger = logging.getLogger(__name__)

BURST, RATE = 60, 5.0
RESUMES_A_MINUTE = 6
# How long a client gets to answer a close frame.
GOODBYE_SECONDS = 5.0
# How long the question who it is may take.
ADMIT_SECONDS = 10.0


class NotificationConsumer(AsyncWebsocketConsumer):
    """One for each socket, without a channel of its own: the hub's serves all."""

    channel_layer_alias = None  # type: ignore[assignment]  # Channels means it, its stubs don't

    def __init__(self) -> None:
        super().__init__()
        self.connection: Connection | None = None
        self.end_of_life: asyncio.TimerHandle | None = None
        self.tokens, self.refilled = float(BURST), time.monotonic()
        self.invalid = 0
        self.resumed: deque[float] = deque()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve the socket. Whatever ends it, it is taken out of the hub and out of presence."""
        self.scope, self.base_send = scope, send
        try:
            await self._serve(receive)
        except OSError:
            # The client vanished while something was sent to it.
            pass
        finally:
            self._leave()

    async def _serve(self, receive: Any) -> None:
        await receive()  # websocket.connect
        login = await self._admit()
        if login is None:
            return
        query = parse_qs(self.scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given, epoch = query.get("since", [None])[-1], query.get("epoch", [None])[-1]
        since = None if given is None else protocol.number(given)
        send = paced(cast("Send", self.base_send))
        self.connection = connection = Connection(login, send, since, epoch)
        age = conf.max_age_seconds * random.uniform(0.9, 1)  # noqa: S311
        loop = asyncio.get_running_loop()
        self.end_of_life = loop.call_later(age, connection.close, CloseCode.MAX_AGE, "too old")
        presence_writer.start()
        presence_writer.opened(connection.id, connection.user_id, login.hash)
        await running_hub().attach(connection)
        await self._listen(connection, receive)

    async def _listen(self, connection: Connection, receive: Any) -> None:
        closed = asyncio.ensure_future(connection.closed.wait())
        message: asyncio.Future[Any] | None = None
        try:
            while True:
                message = asyncio.ensure_future(receive())
                await asyncio.wait({message, closed}, return_when=asyncio.FIRST_COMPLETED)
                if not message.done():
                    # We closed it: what the client still says is of no interest, but its goodbye is.
                    await asyncio.wait({message}, timeout=GOODBYE_SECONDS)
                    return
                if message.result()["type"] == "websocket.disconnect":
                    if message.result().get("code") == CloseCode.SERVICE_RESTART:
                        # uvicorn closed it, because it ends.
                        connection.abandon(CloseCode.SERVICE_RESTART)
                    return
                if not connection.closing:
                    self._command(connection, message.result())
        finally:
            closed.cancel()
            if message is not None:
                message.cancel()

    # --- Entering and leaving -----------------------------------------------------------------------------------------

    async def _admit(self) -> auth.Login | None:
        """Accept or refuse the handshake."""
        if drain.draining:
            await self._turn_away()
            return None
        offered = self.scope.get("subprotocols", [])
        subprotocol = protocol.SUBPROTOCOL if protocol.SUBPROTOCOL in offered else None
        prefix = protocol.TICKET_PREFIX
        ticket = next((name.removeprefix(prefix) for name in offered if name.startswith(prefix)), None)
        try:
            async with asyncio.timeout(ADMIT_SECONDS):
                login = await in_thread(auth.authenticate, dict(self.scope), ticket)
        except auth.BadOrigin as error:
            logger.info("a handshake is refused, for its origin is not ours: %.200r", str(error))
            await self.close()
            return None
        except (DatabaseError, TimeoutError) as error:
            # To a client this looks like a lost connection, and it comes back.
            logger.warning("a handshake is refused, for the database is away: %r", error)
            await self.close()
            return None
        await self.accept(subprotocol)
        if login is None:
            # Accepted first, so that a browser may read why.
            await self.close(int(CloseCode.UNAUTHENTICATED), "not signed in")
        return login

    async def _turn_away(self) -> None:
        """Answer 503: another process, or this one's successor, is there in a moment."""
        if not self._server_is_able():
            await self.close()
            return
        send = cast("Send", self.base_send)
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"retry-after", b"1")]
        await send({"type": "websocket.http.response.start", "status": 503, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": b"draining"})

    def _leave(self) -> None:
        if self.end_of_life is not None:
            self.end_of_life.cancel()
        # Nothing here waits: under cancellation a wait would be the end of it.
        if self.connection is not None:
            counters.sockets_closed[str(self.connection.close_code or "client")] += 1
            presence_writer.closed(self.connection.id, self.connection.user_id, self.connection.close_code)
            self.connection.abandon()
            running_hub().detach(self.connection)

    # --- Commands -----------------------------------------------------------------------------------------

    def _command(self, connection: Connection, message: dict[str, Any]) -> None:
        if not self._within_rate():
            connection.close(CloseCode.RATE_LIMITED, "too many frames")
            return
        text = message.get("text")
        if text is None:
            connection.close(CloseCode.PROTOCOL_ERROR, "binary frame")
            return
        if len(text) > protocol.MOST_COMMAND_BYTES or len(text.encode()) > protocol.MOST_COMMAND_BYTES:
            connection.close(self._too_big(), "frame over 4 KiB")
            return
        try:
            command = protocol.decode(text)
        except protocol.BadCommand as error:
            self.invalid += 1
            connection.send_when_greeted(error.frame.encode())
            if self.invalid >= protocol.MOST_INVALID_COMMANDS:
                connection.close(CloseCode.PROTOCOL_ERROR, "too many invalid frames")
            return
        if isinstance(command, protocol.PingCommand):
            connection.send_when_greeted(protocol.PongFrame(ref=command.ref).encode())
        else:
            self._resume(connection, command)

    def _resume(self, connection: Connection, command: protocol.ResumeCommand) -> None:
        now = time.monotonic()
        while self.resumed and now - self.resumed[0] > 60:
            self.resumed.popleft()
        if len(self.resumed) >= RESUMES_A_MINUTE:
            detail = f"At most {RESUMES_A_MINUTE} resumes a minute."
        elif not connection.live:
            detail = "A catch-up is under way: wait for synced or reset."
        else:
            self.resumed.append(now)
            connection.request = command.since, command.epoch
            running_hub().reader.fall_behind(connection)
            return
        connection.send_when_greeted(
            protocol.ErrorFrame(code="not_allowed", detail=detail, ref=command.ref).encode()
        )

    def _within_rate(self) -> bool:
        now = time.monotonic()
        self.tokens = min(BURST, self.tokens + (now - self.refilled) * RATE)
        self.refilled = now
        self.tokens -= 1
        return self.tokens >= 0

    def _too_big(self) -> int:
        # Daphne can't send the codes that RFC 6455 reserves.
        return CloseCode.TOO_BIG if self._server_is_able() else CloseCode.PROTOCOL_ERROR

    def _server_is_able(self) -> bool:
        """Can the server answer a handshake with any response? Daphne, which can't, lacks more than this extension."""
        return "websocket.http.response" in (self.scope.get("extensions") or {})


class Nowhere(AsyncWebsocketConsumer):
    """Any other path: refused, without the traceback that an unrouted one would leave."""

    channel_layer_alias = None  # type: ignore[assignment]  # Channels means it, its stubs don't

    async def connect(self) -> None:
        await self.close()
