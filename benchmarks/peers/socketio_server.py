"""python-socketio's server: a room a user, and one of all. `uvicorn benchmarks.peers.socketio_server:application`."""

import os
from typing import Any
from urllib.parse import parse_qs

import socketio

server = socketio.AsyncServer(
    async_mode="asgi",
    client_manager=socketio.AsyncRedisManager(os.environ["REDIS_URL"], channel="python-socketio"),
    cors_allowed_origins="*",
    transports=["websocket"],
)


async def connect(sid: str, environ: dict[str, Any]) -> None:
    [user] = parse_qs(environ["QUERY_STRING"])["user"]
    for room in (f"user_{user}", "all"):
        await server.enter_room(sid, room)


server.on("connect", connect)


async def healthz(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


application = socketio.ASGIApp(server, other_asgi_app=healthz)
