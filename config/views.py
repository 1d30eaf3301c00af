"""The demo page, and its sign-in with one click. Without DEMO there is neither."""

import json

from django.conf import settings
from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.shortcuts import render
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_GET, require_POST

from messaging import http
from messaging.demo import PEOPLE, people

PLAIN = "Doorbell is running. Its API: /api/v1/docs\n"


@require_GET
@ensure_csrf_cookie
def demo(request: HttpRequest) -> HttpResponse:
    """Show the demo page, with the people as whom one may sign in."""
    if not settings.DEMO:
        return HttpResponse(PLAIN, content_type="text/plain; charset=utf-8")
    shown = [{"username": user.get_username(), "full_name": user.get_full_name()} for user in people()]
    return render(request, "demo.html", {"demo": True, "people": shown})


@require_POST
def sign_in(request: HttpRequest) -> HttpResponse:
    """Sign in as one of the seeded people, without a password. Django's middleware checks the CSRF token."""
    if not settings.DEMO:
        return http.problem(404, "not_found", "There is no demo here.")
    try:
        body = json.loads(request.body)
    except ValueError:
        return http.problem(400, "not_json", "The body must be JSON.")
    username = body.get("username") if isinstance(body, dict) else None
    user = people().filter(username=username).first() if username in tuple(PEOPLE) else None
    if user is None:
        return http.problem(404, "unknown_user", "Nobody of that name takes part in the demo.")
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    known = {"id": user.pk, "username": user.get_username()}
    return JsonResponse({"user": known, "csrf_token": get_token(request)})
