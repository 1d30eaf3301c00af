"""Takes the place of the relay's publisher: the fixture `published` (conftest.py)."""

import threading

from realtime.outbound.publishers import Unsent


class FakePublisher:
    """What would go to the layer, batch by batch."""

    def __init__(self):
        self.batches = []
        self.error = None
        self.unsent = False
        # Closed, the layer hangs.
        self.open = threading.Event()
        self.open.set()
        self.asked = threading.Event()

    def __call__(self, layer):
        return self

    def publish(self, messages):
        self.asked.set()
        assert self.open.wait(20)
        if self.error is not None:
            raise self.error
        if self.unsent:
            raise Unsent(messages, ConnectionError("away"))
        self.batches.append(list(messages))

    def close(self):
        pass

    @property
    def messages(self):
        return [message for batch in self.batches for message in batch]

    def revisions(self, user):
        group = f"user.{user.pk}"
        return [
            message["revision"]
            for to, message in self.messages
            if to == group and message["type"] == "doorbell.inbox"
        ]
