"""What a WebSocket client needs over HTTP: a ticket, if it can't send a cookie, and the AsyncAPI document."""

from django.http import HttpRequest, JsonResponse
from ninja import Router

from messaging import schemas
from messaging.api import errors
from realtime import auth

from . import asyncapi

router = Router(tags=["socket"])


class Ticket(schemas.Shape):
    ticket: str
    expires_in: int


@router.post("ticket", response=errors.answers({200: Ticket}))
def ticket(request: HttpRequest) -> Ticket:
    """Get a ticket: good for one handshake within 30 seconds, offered as the subprotocol `ticket.<ticket>`."""
    issued = auth.issue_ticket(request.user, auth.login_key(request))
    return Ticket(ticket=issued, expires_in=auth.TICKET_SECONDS)


@router.get("asyncapi.json", auth=None, include_in_schema=False)
def asyncapi_json(request: HttpRequest) -> JsonResponse:
    return JsonResponse(asyncapi.document(request.get_host(), secure=request.is_secure()))
