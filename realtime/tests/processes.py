"""Simulates other server processes in this one: an event loop in a thread, and a presence writer of its own."""

import asyncio
import threading
import time

from realtime.presence.writer import PresenceWriter
from realtime.tests.client import TIMEOUT


class LoopThread:
    """An event loop in a thread, which can be frozen."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.unfrozen = threading.Event()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def run(self, function):
        async def call():
            return function()

        return asyncio.run_coroutine_threadsafe(call(), self.loop).result(TIMEOUT)

    def freeze(self):
        self.unfrozen.clear()
        self.loop.call_soon_threadsafe(self.unfrozen.wait, TIMEOUT)

    def stop(self):
        self.unfrozen.set()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(TIMEOUT)
        self.loop.close()


class OtherProcess:
    """The presence of another server process: its loop and its thread."""

    def __init__(self):
        self.loop, self.presence = LoopThread(), PresenceWriter()
        self.loop.run(self.presence.start)

    def stop(self):
        self.loop.unfrozen.set()
        self.presence.stop(TIMEOUT)
        self.loop.stop()
        assert self.presence._thread is None


def wait_for(condition):
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, "the condition did not become true"
        time.sleep(0.02)
