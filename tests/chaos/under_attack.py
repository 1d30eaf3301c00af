"""An attack on two servers with honest people beside it, and what was measured of it. What is demanded is elsewhere."""

import asyncio
import contextlib
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.live.servers import PASSWORD, ROOT, Server, manage

from . import faults
from .canary import Canary
from .clients import until
from .proxy import Proxy
from .run import Run
from .scenario import mb, ms
from .writers import HttpWriter

CALM_SECONDS = 4.0
# The end of the attackers' process, when their time is over.
END_SECONDS = 90.0
# A user with a thousand notifications, and a token that publishes.
PREPARE = """
import json
from messaging import notifications, tokens
rows = notifications.notify_many([{user}] * 1000, "announcement", "\\U0001f514" * 190, "\\U0001f514" * 500)
notifications.assign_revisions([{user}])
_, secret = tokens.make("attacker", can_publish=True)
print(json.dumps([secret, [row.pk for row in rows]]))
"""


@dataclass(slots=True)
class Measures:
    """What was measured from the attack's begin to some time after its end. Memory: of the server that grew most."""

    # Before the attack, for comparison.
    calm_since: float
    calm_p99: dict[str, float]
    began: float
    ended: float = 0.0
    # The attackers' answers by status, their connections, what they sent and received, and their processor time.
    answers: Counter[str] = field(default_factory=Counter)
    opened: int = 0
    sent: int = 0
    received: int = 0
    attackers_cpu: float = 0.0
    servers_cpu: float = 0.0
    # The honest people's sockets that were closed, their calls that were refused, and those who were shown offline.
    lost: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    offline: set[int] = field(default_factory=set)
    p99: dict[str, float] = field(default_factory=dict)
    rss: int = 0
    most_growth: int = 0
    growth_after: int = 0
    threads: int = 0
    stored: int = 0
    logged: int = 0

    def __str__(self) -> str:
        seconds = self.ended - self.began
        parts = [
            "p99 of "
            + ", ".join(
                f"{kind} {ms(value)} (before {ms(self.calm_p99[kind])})" for kind, value in self.p99.items()
            ),
            f"{self.lost} sockets lost, {counted(self.refused)} calls refused, {len(self.offline)} shown offline",
            f"RSS {mb(self.rss)} +{mb(self.most_growth)}, then +{mb(self.growth_after)}, {self.threads} threads",
            f"CPU {self.servers_cpu / seconds:.0%} servers, {self.attackers_cpu / seconds:.0%} attackers",
            f"they opened {self.opened}, sent {mb(self.sent)}, got {mb(self.received)}",
            f"answers {counted(self.answers)}",
        ]
        return "; ".join(parts)


def counted(numbers: Counter[str]) -> str:
    named = ", ".join(f"{number} x {what}" for what, number in numbers.most_common(5))
    return f"{numbers.total()} ({named})" if named else "0"


class Scene:
    """Two servers, a proxy in front or none, honest people with their pages, and what attackers know."""

    def __init__(self, run: Run, *, people: int, behind_proxy: bool = False) -> None:
        self.run, self.behind_proxy = run, behind_proxy
        self.servers: list[Server] = []
        self.proxy: Proxy | None = None
        self.people, self.visitors, self.attackers = (
            run.take_people(people),
            run.take_people(10),
            run.take_people(6),
        )
        self.given: dict[str, Any] = {}

    def ports(self) -> Sequence[int]:
        """Where people and attackers go: to the proxy, or to the first server."""
        return [self.proxy.port if self.proxy else self.servers[0].port]

    async def open(self) -> None:
        # Limits are part of the defence. The proxy names its clients' addresses.
        environment = {"API_RATE_LIMIT": "1", "DJANGO_SETTINGS_MODULE": "tests.chaos.unhashed_settings"}
        if self.behind_proxy:
            environment["FORWARDED_ALLOW_IPS"] = "127.0.0.1"
        self.servers = list(await self.run.start_two("serve", **environment))
        if self.behind_proxy:
            proxy = Proxy(self.servers, self.run.testbed.folder)
            self.proxy = await asyncio.to_thread(proxy.wait)
        code = PREPARE.format(user=self.attackers[0]["id"])
        token, ids = json.loads(
            await asyncio.to_thread(manage, self.run.environment, "shell", "-v0", "-c", code)
        )
        self.given = {
            "sessions": [one["session"] for one in self.attackers],
            "names": [one["username"] for one in self.attackers],
            "password": PASSWORD,
            "token": token,
            "ids": ids,
        }
        self.run.start_readers(self.people, self.ports)
        await until(lambda: all(reader.live for reader in self.run.readers), 60, "live readers")
        writer = self.run.start_http_writer(self.people, 25, self.ports)
        # They all become contacts of the first, who watches them.
        for other in self.people[1:]:
            await writer.send_to(self.people[0], other)

    def close(self) -> None:
        if self.proxy is not None:
            self.proxy.close()

    async def attack(
        self,
        name: str,
        connections: int,
        seconds: float,
        *,
        after_seconds: float,
        calm_seconds: float = CALM_SECONDS,
    ) -> Measures:
        """Measure without attackers, then attack, and measure until `after_seconds` after the end."""
        calm_since, canary = time.monotonic(), self._start_canary()
        await asyncio.sleep(calm_seconds)
        await canary.stop()
        calm_p99, canary = canary.percentiles(), self._start_canary()
        first_rss, first_closes, first_log = self._rss(), self._closes(), self._logged()
        versions = await asyncio.to_thread(self.run.presence_versions)
        measures = Measures(calm_since, calm_p99, time.monotonic(), rss=max(first_rss))
        first_cpu, first_refused = self._cpu(), self._refused()
        try:
            await self._run_attackers(name, connections, seconds, measures)
            measures.ended = time.monotonic()
            measures.servers_cpu = self._cpu() - first_cpu
            await asyncio.sleep(after_seconds)
        finally:
            await canary.stop()
        measures.p99 = canary.percentiles()
        measures.lost = self._closes() - first_closes
        measures.refused = Counter(canary.failures) + (self._refused() - first_refused)
        here = {person["id"] for person in self.people}
        now = await asyncio.to_thread(self.run.presence_versions)
        measures.offline = here & (
            canary.offline | {user for user in here if now[user] != versions.get(user, 0)}
        )
        measures.most_growth = _most_growth(first_rss, canary.most_rss)
        measures.growth_after = _most_growth(first_rss, self._rss())
        measures.threads, measures.stored = canary.most_threads, canary.stored
        measures.logged = self._logged() - first_log
        return measures

    def _start_canary(self) -> Canary:
        canary = Canary(self.people, self.visitors, self.ports()[0], self.servers)
        canary.start()
        return canary

    async def _run_attackers(self, name: str, connections: int, seconds: float, measures: Measures) -> None:
        config = {"attack": name, "port": self.ports()[0], "connections": connections, "seconds": seconds}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.chaos.attacker", json.dumps({**config, "given": self.given})),
            cwd=ROOT,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(seconds + END_SECONDS):
                output, _ = await process.communicate()
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        done = json.loads(output)
        measures.answers = Counter(done["answers"])
        measures.opened, measures.sent, measures.received = done["opened"], done["sent"], done["received"]
        measures.attackers_cpu = done["cpu"]

    def _rss(self) -> list[int]:
        return [server.rss() for server in self.servers]

    def _cpu(self) -> float:
        return sum(faults.cpu_seconds(server.pid) for server in self.servers)

    def _logged(self) -> int:
        return sum(server.log.stat().st_size for server in self.servers)

    def _closes(self) -> int:
        return sum(event.kind == "closed" for log in self.run.history.logs for event in log.events)

    def _refused(self) -> Counter[str]:
        refused = Counter[str]()
        for writer in self.run.writers:
            if isinstance(writer, HttpWriter):
                refused.update({f"message: {why}": count for why, count in writer.refused.items()})
        return refused


def _most_growth(before: Sequence[int], after: Sequence[int]) -> int:
    return max(0, *(last - first for first, last in zip(before, after, strict=True)))
