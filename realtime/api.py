"""The HTTP call that belongs to the socket: a ticket for clients that have no cookie to show."""

from django.http import HttpRequest
from ninja import Router

from messaging import http, schemas

from . import auth

router = Router(tags=["socket"])


class Ticket(schemas.Shape):
    ticket: str
    expires_in: int


@router.post("ticket", response=http.answers({200: Ticket}, 401, 403, 429))
def ticket(request: HttpRequest) -> Ticket:
    """Get a ticket: good for one handshake within 30 seconds, offered as the subprotocol `ticket.<ticket>`."""
    made = auth.issue_ticket(request.user, auth.login_key(request))
    return Ticket(ticket=made, expires_in=auth.TICKET_SECONDS)
