"""Takes the place of the relay's publisher: the fixture `published` (conftest.py)."""

import threading

from realtime.outbound import envelopes
from realtime.outbound.envelopes import AnnouncementEnvelope, RevisionEnvelope
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
        """This user's revisions, as a hub would find them in the messages."""
        found = []
        for _, message in self.messages:
            match envelopes.decode(message):
                case RevisionEnvelope(user=key, revision=revision) if key == user.pk:
                    found.append(revision)
                case AnnouncementEnvelope() as announcement:
                    found += [envelope.revision for envelope in announcement.of([user.pk])]
        return found
