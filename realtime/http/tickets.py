"""What a WebSocket client needs over HTTP: a ticket, if it can't send a cookie, and the AsyncAPI document."""

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from ninja import Router

from messaging import data_shapes, schemas
from messaging.api import errors
from realtime import auth, mount

from . import asyncapi
from .documents import Document

router = Router(tags=["socket"])
_asyncapi = Document(
    lambda host, secure, prefix, types: asyncapi.document(host, secure=secure, prefix=prefix)
)


class Ticket(schemas.Shape):
    ticket: str
    expires_in: int


@router.post("ticket", response=errors.answers({200: Ticket}))
def ticket(request: HttpRequest) -> Ticket:
    """Get a ticket: good for one handshake within 30 seconds, offered as the subprotocol `ticket.<ticket>`."""
    issued = auth.issue_ticket(request.user, auth.login_key(request))
    return Ticket(ticket=issued, expires_in=auth.TICKET_SECONDS)


@router.get("asyncapi.json", auth=None, include_in_schema=False)
def asyncapi_json(request: HttpRequest) -> HttpResponseBase:
    prefix = mount.api_path().removesuffix(f"/{mount.API}")
    return _asyncapi(request, request.get_host(), request.is_secure(), prefix, data_shapes.declared())
