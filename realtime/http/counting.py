"""ASGI middleware: counts the HTTP answers of the process by status, the probes' and refusals included."""

from typing import Any

from realtime import counters


class AsgiCounting:
    """Outside all others: what they refuse counts, too."""

    def __init__(self, application: Any) -> None:
        self.application = application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        started = False

        async def send_and_count(message: Any) -> None:
            nonlocal started
            if not started and message["type"] == "http.response.start":
                started = True
                counters.http_requests.labels(message["status"]).inc()
            await send(message)

        try:
            await self.application(scope, receive, send_and_count)
        except Exception:
            if not started:
                # The server answers in our place.
                counters.http_requests.labels(500).inc()
            raise
