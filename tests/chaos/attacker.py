"""A process of attackers: `python -m tests.chaos.attacker CONFIG`. Everything else on the machine goes first (nice 19).

Its connections repeat one attack until the time is over. It prints what was answered, how often, and the bytes and
processor time that it took. The attacks are in attacks.py.
"""

import asyncio
import json
import os
import socket
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvloop

# Not the address of the honest clients: a limit per address must not be theirs.
ADDRESS = "127.0.0.2"
ANSWER_SECONDS = 20.0
# An answer that doesn't come, and what is cut off, isn't tried again at once.
PAUSE_SECONDS = 0.05

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Attacker:
    """What the connections of one process share."""

    port: int
    # What the attack needs: logins, a token, names, a password.
    given: dict[str, Any]
    until: float
    answers: Counter[str] = field(default_factory=Counter)
    opened: int = 0
    sent: int = 0
    received: int = 0

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def has_time(self) -> bool:
        return time.monotonic() < self.until

    @asynccontextmanager
    async def connection(self, receive_buffer: int = 0) -> AsyncIterator[Stream]:
        with socket.socket() as made:
            made.setblocking(False)
            if receive_buffer:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            made.bind((ADDRESS, 0))
            async with asyncio.timeout(ANSWER_SECONDS):
                await asyncio.get_running_loop().sock_connect(made, ("127.0.0.1", self.port))
            reader, writer = await asyncio.open_connection(sock=made)
            self.opened += 1
            try:
                yield reader, writer
            finally:
                writer.transport.abort()

    async def pour(self, writer: asyncio.StreamWriter, block: bytes) -> None:
        """Send a block again and again, until the connection is cut off or the time is over."""
        while self.has_time:
            writer.write(block)
            await writer.drain()
            self.sent += len(block)

    async def call(self, method: str, path: str, head: str = "", body: bytes = b"") -> int:
        """Make one call on a connection of its own, and read its answer; returns the status."""
        async with self.connection() as (reader, writer), asyncio.timeout(ANSWER_SECONDS):
            length = f"Content-Length: {len(body)}\r\n" if body else ""
            request = (
                f"{method} {path} HTTP/1.1\r\nHost: {self.host}\r\nConnection: close\r\n{head}{length}\r\n"
            )
            writer.write(request.encode() + body)
            answer = await reader.read(2**20)
            while more := await reader.read(2**20):
                answer = answer[:32]
                self.received += len(more)
            return self.note(answer)

    def note(self, answer: bytes) -> int:
        """Count an answer by its status; 0 if there was none."""
        status = answer[9:12].decode("latin-1")
        self.answers[status or "none"] += 1
        return int(status) if status.isdigit() else 0


Attack = Callable[[Attacker, int], Awaitable[None]]


async def repeat(attacker: Attacker, attack: Attack, number: int) -> None:
    while attacker.has_time:
        try:
            async with asyncio.timeout(max(0.1, attacker.until + 1 - time.monotonic())):
                await attack(attacker, number)
        except (OSError, EOFError, asyncio.IncompleteReadError) as error:
            attacker.answers["timed out" if isinstance(error, TimeoutError) else "cut off"] += 1
            await asyncio.sleep(PAUSE_SECONDS)


async def main() -> None:
    from .attacks import ATTACKS

    config = json.loads(sys.argv[1])
    # Not before: on a busy machine its start would take longer than the attack.
    os.nice(19)
    until = time.monotonic() + config["seconds"]
    attacker = Attacker(config["port"], config["given"], until)
    attack = ATTACKS[config["attack"]]
    await asyncio.gather(*(repeat(attacker, attack, number) for number in range(config["connections"])))
    done = {
        "answers": attacker.answers,
        "opened": attacker.opened,
        "sent": attacker.sent,
        "received": attacker.received,
        "cpu": time.process_time(),
    }
    sys.stdout.write(json.dumps(done) + "\n")


if __name__ == "__main__":
    uvloop.run(main())
