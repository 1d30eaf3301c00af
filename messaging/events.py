"""The facts that the domain announces, as Django signals. Whoever delivers them listens; the domain doesn't know who.

All but the first are sent after commit, so what they announce is true.
"""

from django.dispatch import Signal

# messages: list[Message], is_read: bool. These were marked in one go, in the transaction that still runs.
messages_marked = Signal()
# user_ids: set[int]. Notifications of these users have changed and wait for their revision.
inboxes_touched = Signal()
# revisions: list[notifications.Revision]. These were dealt just now, in rising order for each user.
inboxes_changed = Signal()
# users: list[int]. These people's presence has changed, or who may see it.
presence_changed = Signal()
# online, offline: list[int]. The people among them who came or went.
status_changed = Signal()
