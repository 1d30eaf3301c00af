"""The socket's consumer: it greets, listens to commands and says goodbye. What it sends comes from the hub."""

import asyncio
import logging
import time
from collections import deque
from typing import Any, cast
from urllib.parse import parse_qs

from channels.generic.websocket import AsyncWebsocketConsumer
from django.db import Error as DatabaseError

from . import auth, protocol
from .connection import Connection, Send
from .db import in_thread
from .hub import running_hub
from .presence import presence
from .protocol import CloseCode

logger = logging.getLogger(__name__)

BURST, RATE = 60, 5.0
RESUMES_A_MINUTE = 6
# How long a client gets to answer a close frame.
GOODBYE_SECONDS = 5.0


class NotificationConsumer(AsyncWebsocketConsumer):
    """One for each socket, without a channel of its own: the hub's serves all."""

    channel_layer_alias = None  # type: ignore[assignment]  # Channels means it, its stubs don't

    def __init__(self) -> None:
        super().__init__()
        self.connection: Connection | None = None
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
        self.connection = connection = Connection(login, cast("Send", self.base_send), since, epoch)
        presence.start()
        presence.opened(connection.id, connection.user_id, login.hash)
        await running_hub().attach(connection)
        await self._listen(connection, receive)

    async def _listen(self, connection: Connection, receive: Any) -> None:
        closed = asyncio.ensure_future(connection.closed.wait())
        try:
            while True:
                message = asyncio.ensure_future(receive())
                await asyncio.wait({message, closed}, return_when=asyncio.FIRST_COMPLETED)
                if not message.done():
                    # We closed it: what the client still says is of no interest, but its goodbye is.
                    await asyncio.wait({message}, timeout=GOODBYE_SECONDS)
                    message.cancel()
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

    # --- Entering and leaving -----------------------------------------------------------------------------------------

    async def _admit(self) -> auth.Login | None:
        """Accept or refuse the handshake."""
        offered = self.scope.get("subprotocols", [])
        subprotocol = protocol.SUBPROTOCOL if protocol.SUBPROTOCOL in offered else None
        prefix = protocol.TICKET_PREFIX
        ticket = next((name.removeprefix(prefix) for name in offered if name.startswith(prefix)), None)
        try:
            login = await in_thread(auth.authenticate, dict(self.scope), ticket)
        except auth.BadOrigin:
            await self.close()
            return None
        except DatabaseError as error:
            # To a client this looks like a lost connection, and it comes back.
            logger.warning("a handshake is refused, for the database is away: %s", error)
            await self.close()
            return None
        await self.accept(subprotocol)
        if login is None:
            # Accepted first, so that a browser may read why.
            await self.close(int(CloseCode.UNAUTHENTICATED), "not signed in")
        return login

    def _leave(self) -> None:
        # Nothing here waits: under cancellation a wait would be the end of it.
        if self.connection is not None:
            presence.closed(self.connection.id, self.connection.user_id, self.connection.close_code)
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
            connection.send_frame(error.frame)
            if self.invalid >= protocol.MOST_INVALID_COMMANDS:
                connection.close(CloseCode.PROTOCOL_ERROR, "too many invalid frames")
            return
        if isinstance(command, protocol.Ping):
            connection.send_frame(protocol.Pong(ref=command.ref))
        else:
            self._resume(connection, command)

    def _resume(self, connection: Connection, command: protocol.Resume) -> None:
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
        connection.send_frame(protocol.Error(code="not_allowed", detail=detail))

    def _within_rate(self) -> bool:
        now = time.monotonic()
        self.tokens = min(BURST, self.tokens + (now - self.refilled) * RATE)
        self.refilled = now
        self.tokens -= 1
        return self.tokens >= 0

    def _too_big(self) -> int:
        # Daphne can't send the codes that RFC 6455 reserves; it is the server without this extension.
        can_send_any = "websocket.http.response" in (self.scope.get("extensions") or {})
        return CloseCode.TOO_BIG if can_send_any else CloseCode.PROTOCOL_ERROR


class Nowhere(AsyncWebsocketConsumer):
    """Any other path: refused, without the traceback that an unrouted one would leave."""

    channel_layer_alias = None  # type: ignore[assignment]  # Channels means it, its stubs don't

    async def connect(self) -> None:
        await self.close()
