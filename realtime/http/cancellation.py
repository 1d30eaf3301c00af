"""A request that still runs when the process ends: uvicorn cancels it after some seconds, and would answer 500."""

import asyncio
from typing import Any

from realtime.delivery import drain

from . import refusals

ENDING = 503, "unavailable", "The server restarts. Try again in a moment."


class AsgiCancellation:
    """ASGI middleware: 503 for a request that is cancelled in a drain, unless its answer has begun."""

    def __init__(self, application: Any) -> None:
        self.application = application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        has_answered = is_cancelled = False

        async def send_noted(message: Any) -> None:
            nonlocal has_answered
            # The view goes on in its thread, and its own answer comes too late.
            if not is_cancelled:
                has_answered = True
                await send(message)

        try:
            await self.application(scope, receive, send_noted)
        except asyncio.CancelledError:
            if has_answered or not drain.draining:
                raise
            is_cancelled = True
            for message in refusals.messages(*ENDING):
                await send(message)
