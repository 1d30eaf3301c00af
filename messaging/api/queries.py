"""What queries may hold, as in docs/protocol.md §3: pages of lists, and options."""

from typing import Annotated

from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from messaging.schemas import Shape

from .requests import RowId, Text, UserRowId, about

BEFORE = about("Where the page begins: the `next` of the page before it. Without it, at the newest.")


class Page(Shape):
    """A list is read newest first. `before` is the last answer's `next`."""

    # A query parameter can be absent, but not null.
    before: Annotated[RowId | SkipJsonSchema[None], BEFORE] = None
    limit: Annotated[int, Field(ge=1, le=200), about("How many items the page has at most.")] = 50


class UserPage(Page):
    before: Annotated[UserRowId | SkipJsonSchema[None], BEFORE] = None
    search: Annotated[Text, about("Only users whose name contains this, without regard to case.")] = ""


class MessagePage(Page):
    """`with` is a username, `with_id` an id; with both, the name has to be that of the id."""

    partner: Annotated[
        Text | SkipJsonSchema[None],
        Field(alias="with", description="Only the conversation with the user of this name."),
    ] = None
    partner_id: Annotated[
        Text | SkipJsonSchema[None],
        Field(alias="with_id", description="Only the conversation with the user of this id."),
    ] = None


class NotificationPage(Page):
    unread: Annotated[bool, about("Only those that are unread.")] = False
    notification_type: Annotated[
        Text | SkipJsonSchema[None], about("Only those of this type: `announcement`, say.")
    ] = None
    group: Annotated[Text | SkipJsonSchema[None], about("Only those of this group.")] = None


class PublishOptions(Shape):
    strict: Annotated[
        bool,
        about(
            "Answer 422 instead of 202 where nothing was published, since something is wrong with every item."
        ),
    ] = False
