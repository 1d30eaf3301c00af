"""An HTTP request that takes too long for the drain of its process is answered 503.

uvicorn would cancel it and answer 500, and that only when the view's thread has ended: until then Django holds the
cancellation back.
"""

import asyncio
from typing import Any

from realtime.delivery import drain

from . import refusals

ENDING = 503, "unavailable", "The server restarts. Try again in a moment."


class AsgiGivingUp:
    """ASGI middleware: answers what `drain` gives up in the application's place, whose own answer is dropped."""

    def __init__(self, application: Any) -> None:
        self.application = application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        has_answered = is_given_up = False

        async def give_up() -> None:
            nonlocal is_given_up
            if not has_answered:
                is_given_up = True
                for message in refusals.messages(*ENDING):
                    await send(message)

        async def send_noted(message: Any) -> None:
            nonlocal has_answered
            if not is_given_up:
                has_answered = True
                await send(message)

        drain.running_requests.add(give_up)
        try:
            await self.application(scope, receive, send_noted)
        except asyncio.CancelledError:
            # uvicorn would log an error, though the request has been answered.
            if not is_given_up:
                raise
        finally:
            drain.running_requests.discard(give_up)
