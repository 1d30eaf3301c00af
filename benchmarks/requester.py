"""Sends messages over HTTP, several requests under way at once: for each line of JSON on stdin, as a writer does.

The server saves the message while it handles the request. An order has `kind`, `port`, `people` ([session, username]),
`first`, `seconds` and `at_once`.
"""

import asyncio
import json
import sys
import time
from typing import Any
from urllib.parse import quote

import uvloop

FILLER = "x" * 150
TOKEN = "t" * 32


def request_of(kind: str, port: int, session: str, receiver: str, text: str) -> bytes:
    head = f"Host: 127.0.0.1:{port}\r\nCookie: sessionid={session}; csrftoken={TOKEN}\r\n"
    if kind == "doorbell":
        body = json.dumps({"receiver": receiver, "content": text})
        head += f"X-CSRFToken: {TOKEN}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        return f"POST /api/v1/messages HTTP/1.1\r\n{head}\r\n{body}".encode()
    query = f"receiver={receiver}&content={quote(text)}"
    return f"GET /send/?{query} HTTP/1.1\r\n{head}\r\n".encode()


async def send_until(
    order: dict[str, Any], numbers: Any, deadline: float, place: int, stamps: list[tuple[int, float, float]]
) -> float:
    """Returns for how many seconds it has waited for answers."""
    people = order["people"]
    reader, writer = await asyncio.open_connection("127.0.0.1", order["port"])
    turn, waited = place, 0.0
    while time.monotonic() < deadline:
        number = next(numbers)
        session, _ = people[turn % len(people)]
        _, receiver = people[(turn + 1) % len(people)]
        turn += order["at_once"]
        called = time.monotonic()
        text = f"#{number}# {FILLER}"
        writer.write(request_of(order["kind"], order["port"], session, receiver, text))
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        length = next(int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:"))
        answer = await reader.readexactly(length)
        if b" 201 " not in lines[0]:
            raise RuntimeError(f"{lines[0]!r} {answer[:300]!r}")
        # The client can't see the commit.
        stamps.append((number, called, called))
        waited += time.monotonic() - called
    writer.close()
    return waited


async def send_all(order: dict[str, Any]) -> dict[str, Any]:
    numbers = iter(range(order["first"], order["first"] + 10**7))
    stamps: list[tuple[int, float, float]] = []
    cpu, began = time.process_time(), time.monotonic()
    async with asyncio.TaskGroup() as group:
        deadline = began + order["seconds"]
        sending = [
            group.create_task(send_until(order, numbers, deadline, place, stamps))
            for place in range(order["at_once"])
        ]
    return {
        "count": len(stamps),
        "began": began,
        "ended": time.monotonic(),
        "calling": sum(task.result() for task in sending),
        "cpu": time.process_time() - cpu,
        "stamps": stamps,
    }


def main() -> None:
    while line := sys.stdin.readline():
        order = json.loads(line)
        print("ready", flush=True)
        sys.stdin.readline()
        print(json.dumps(uvloop.run(send_all(order))), flush=True)


if __name__ == "__main__":
    main()
