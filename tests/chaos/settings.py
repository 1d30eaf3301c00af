"""The project's settings with a channel layer that loses, for servers under test. `CHAOS_DROP`: the share lost."""

from config.settings import *  # noqa: F403
from config.settings import CHANNEL_LAYERS

CHANNEL_LAYERS["default"] = {
    "BACKEND": "tests.chaos.faults.LossyLayer",
    "CONFIG": {"behind": CHANNEL_LAYERS["default"]},
}
