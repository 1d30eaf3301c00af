"""T4: the subscriber's TCP flow dies silently, as behind a NAT that forgot it: the stock pub/sub layer, and ours.

Runs in a network namespace of its own (`unshare`, so as root), with a Redis of its own: nothing outside is touched.
By redis-py's settings the kernel gives a silent flow up after 45 s; here after 4. What follows is the same.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import redis
import uvloop
from channels_redis.pubsub import RedisPubSubChannelLayer

from realtime.channel_layer import GuardedRedisLayer
from tools.services import RedisServer

LAYERS = {"stock": RedisPubSubChannelLayer, "guarded": GuardedRedisLayer}
PREFIX = "blackhole"
GROUPS = 20
# TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT
KEEPALIVE = {4: 1, 5: 1, 6: 3}
TICK_SECONDS = 0.02
SAMPLE_SECONDS = 0.25
BEFORE_SECONDS = 4.0
# The stock layer leaks 90 MB a second.
MAX_GROWTH = 400 * 1024 * 1024

DEMANDED_RESYNC, DEMANDED_CPU, DEMANDED_GROWTH = 5.0, 0.30, 20 * 1024 * 1024


@dataclass
class Sample:
    """What the subject measured at a moment (of the clock that all processes share)."""

    at: float
    ticks: int
    # When the last message came, and when the layer last reported a gap.
    last_message: float
    gap: float
    rss: int
    cpu: float


# --- The subject: a process with a layer ------------------------------------------------------------------------


class Subject:
    def __init__(self, kind: str, url: str) -> None:
        host = {
            "address": url,
            "socket_timeout": 1,
            "socket_connect_timeout": 1,
            "socket_keepalive": True,
            "socket_keepalive_options": KEEPALIVE,
        }
        self.layer: Any = LAYERS[kind](hosts=[host], prefix=PREFIX)
        self.ticks = 0
        self.last_message = self.gap = 0.0

    async def run(self) -> None:
        # A thread reports, so that a frozen event loop is reported, too.
        threading.Thread(target=self._report, daemon=True).start()
        if isinstance(self.layer, GuardedRedisLayer):
            self.layer.on_gap(self._on_gap)
        channel = await self.layer.new_channel()
        for number in range(GROUPS):
            await self.layer.group_add(f"user.{number}", channel)
        async with asyncio.TaskGroup() as endless:
            endless.create_task(self._receive(channel))
            endless.create_task(self._tick())

    def _on_gap(self) -> None:
        self.gap = time.monotonic()

    async def _receive(self, channel: str) -> None:
        while True:
            await self.layer.receive(channel)
            self.last_message = time.monotonic()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self.ticks += 1

    def _report(self) -> None:
        page = resource.getpagesize()
        while True:
            with open("/proc/self/statm") as statm:
                rss = int(statm.read().split()[1]) * page
            sample = Sample(
                time.monotonic(), self.ticks, self.last_message, self.gap, rss, time.process_time()
            )
            print(json.dumps(vars(sample)), flush=True)
            time.sleep(SAMPLE_SECONDS)


# --- The experiment ----------------------------------------------------------------------------------------------


@dataclass
class Outcome:
    """Seconds from the blackhole on, None if it never came; shares of one core and of the ticks before."""

    resync: float | None
    last_message: float | None
    cpu: float
    growth: int
    ticks: float

    @property
    def meets_the_demand(self) -> bool:
        return (
            self.resync is not None
            and self.resync <= DEMANDED_RESYNC
            and self.cpu < DEMANDED_CPU
            and self.growth < DEMANDED_GROWTH
        )

    def __str__(self) -> str:
        resync = "never" if self.resync is None else f"after {self.resync:.2f} s"
        last_message = "never" if self.last_message is None else f"after {self.last_message:.2f} s"
        return (
            f"resync {resync}, messages again {last_message}; in the worst 2 s: CPU {self.cpu:.0%},"
            f" {self.ticks:.0%} of the loop's ticks; RSS {self.growth / 2**20:+.1f} MB"
        )


def observe(kind: str, loop: str, server: RedisServer, seconds: float) -> Outcome:
    """Cut one subject's subscriber off, and watch it for so many seconds."""
    admin = redis.Redis(port=server.port)
    samples: list[Sample] = []
    with subject(kind, loop, server.url, samples), publishing(admin):
        wait(lambda: samples and samples[-1].last_message, "the subject receives nothing")
        time.sleep(BEFORE_SECONDS)
        [cut_off] = [client for client in admin.client_list("pubsub") if client["laddr"] != client["addr"]]
        began = time.monotonic()
        blackhole(int(cut_off["addr"].rpartition(":")[2]))
        # And Redis, or the server that took its place, drops it.
        admin.client_kill_filter(_id=cut_off["id"])
        while time.monotonic() < began + seconds and samples[-1].rss - samples[0].rss < MAX_GROWTH:
            time.sleep(SAMPLE_SECONDS)
    admin.close()
    return evaluate(samples, began)


def evaluate(samples: Sequence[Sample], began: float) -> Outcome:
    before = [sample for sample in samples if began - 2 < sample.at < began]
    after = [sample for sample in samples if sample.at >= began]
    usual = (before[-1].ticks - before[0].ticks) / (before[-1].at - before[0].at)
    # Over spans of 2 s.
    spans = [(one, next((two for two in after if two.at > one.at + 2), None)) for one in after]
    rates = [
        ((two.cpu - one.cpu) / (two.at - one.at), (two.ticks - one.ticks) / (two.at - one.at))
        for one, two in spans
        if two is not None
    ]
    # What was on its way at that moment still comes.
    again = [sample.last_message - began for sample in after if sample.last_message > began + 0.5]
    gaps = [sample.gap - began for sample in after if sample.gap > began]
    return Outcome(
        resync=gaps[0] if gaps else None,
        last_message=again[0] if again else None,
        cpu=max(cpu for cpu, _ in rates),
        growth=max(sample.rss for sample in after) - before[-1].rss,
        ticks=min(ticks for _, ticks in rates) / usual,
    )


@contextlib.contextmanager
def subject(kind: str, loop: str, url: str, samples: list[Sample]) -> Iterator[None]:
    command = [
        sys.executable,
        "-m",
        "tests.chaos.blackhole",
        "--subject",
        kind,
        "--loop",
        loop,
        "--redis",
        url,
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def read() -> None:
        assert process.stdout is not None
        # extend() takes each as it comes.
        samples.extend(Sample(**json.loads(line)) for line in process.stdout)

    reading = threading.Thread(target=read)
    reading.start()
    try:
        yield
    finally:
        process.kill()
        process.wait()
        reading.join()
        if process.stdout is not None:
            process.stdout.close()


@contextlib.contextmanager
def publishing(admin: "redis.Redis") -> Iterator[None]:
    """Publish to every group in turn, 50 a second, in the stock layer's format."""
    data = RedisPubSubChannelLayer().serialize({"type": "news", "text": "x" * 200})
    over = threading.Event()

    def publish() -> None:
        number = 0
        while not over.wait(TICK_SECONDS):
            admin.publish(f"{PREFIX}__group__user.{number % GROUPS}", data)
            number += 1

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def blackhole(port: int) -> None:
    """Drop every packet of this local port's, both ways."""
    for way in ("--sport", "--dport"):
        subprocess.run(["iptables", "-A", "INPUT", "-p", "tcp", way, str(port), "-j", "DROP"], check=True)


def wait(condition: Any, failure: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(failure)
        time.sleep(0.05)


# --- The command --------------------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0: ours meets the demand and the stock layer doesn't. 2: this machine can't make the namespace."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.blackhole", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="how long each layer is watched (20)")
    parser.add_argument(
        "--loop", choices=["asyncio", "uvloop"], default="uvloop", help="(uvloop, as `serve`)"
    )
    parser.add_argument("--only", choices=list(LAYERS), help="only this layer")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--subject", choices=list(LAYERS), help=argparse.SUPPRESS)
    parser.add_argument("--redis", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.subject:
        run = uvloop.run if options.loop == "uvloop" else asyncio.run
        run(Subject(options.subject, options.redis).run())
        return 0
    if not options.inside:
        return enter_namespace(sys.argv[1:] if arguments is None else arguments)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    good = True
    for kind in [options.only] if options.only else LAYERS:
        with RedisServer() as server:
            outcome = observe(kind, options.loop, server, options.seconds)
        print(f"{kind} layer on {options.loop}: {outcome}", flush=True)
        good = good and outcome.meets_the_demand == (kind == "guarded")
    return 0 if good else 1


def enter_namespace(arguments: Sequence[str]) -> int:
    alone = ["unshare", "--net", *([] if os.geteuid() == 0 else ["--map-root-user"]), "--"]
    try:
        subprocess.run([*alone, "ip", "link"], check=True, capture_output=True)
        subprocess.run([*alone, "iptables", "-L"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = getattr(error, "stderr", b"") or str(error).encode()
        print(f"no network namespace: {reason.decode().strip()}. Needs root, iproute2 and iptables.")
        return 2
    command = [*alone, sys.executable, "-m", "tests.chaos.blackhole", "--inside", *arguments]
    return subprocess.run(command).returncode


if __name__ == "__main__":
    # The stock layer prints a traceback a second, and more.
    logging.disable(logging.CRITICAL)
    sys.exit(main())
