"""The demo page and its one-click sign-in. Both are disabled unless DEMO is set."""

from django.conf import settings
from django.contrib.auth import login
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.shortcuts import render
from django.templatetags.static import static
from django.views.decorators.csrf import csrf_protect, ensure_csrf_cookie
from django.views.decorators.http import require_GET, require_POST

from messaging import tokens
from messaging.api import errors
from messaging.exceptions import MessagingError
from messaging.models import ApiToken

from .doors import answer_error, demo_only, json_body
from .languages import ENGLISH, LANGUAGES, language_of
from .modules import STAGE, WELCOME, words_of
from .people import LABEL, PEOPLE, delete_old_tokens, people

MAX_TOKENS_PER_PERSON = 10
PLAIN = "Doorbell is running. Its API: /api/v1/docs\n"


@require_GET
@ensure_csrf_cookie
def demo(request: HttpRequest) -> HttpResponse:
    """Show the demo page, with the people one may sign in as."""
    if not settings.DEMO:
        return HttpResponse(PLAIN, content_type="text/plain; charset=utf-8")
    shown = [{"username": user.get_username(), "full_name": user.get_full_name()} for user in people()]
    language = language_of(request.user) if request.user.is_authenticated else ENGLISH
    context = {
        "demo": True,
        "people": shown,
        "language": language,
        "languages": LANGUAGES,
        "first_modules": map(static, WELCOME),
        "modules": map(static, (*STAGE, *words_of(language.code))),
    }
    return render(request, "demo.html", context)


@demo_only
@require_POST
@csrf_protect
def sign_in(request: HttpRequest) -> HttpResponse:
    """Sign in as one of the seeded people, without a password. Django's middleware checks the CSRF token.

    With `token` true the browser's own login stays as it is: the answer has an API token of that person instead, for
    a second person in the same window.
    """
    try:
        body = json_body(request)
    except MessagingError as error:
        return answer_error(request, error)
    username = body.get("username")
    user = people().filter(username=username).first() if username in tuple(PEOPLE) else None
    if user is None:
        return errors.problem(404, "unknown_user", "No demo user has this name.")
    known = {
        "user": {"id": user.pk, "username": user.get_username()},
        "language": language_of(user).code,
    }
    if body.get("token") is True:
        return JsonResponse({**known, "token": demo_token(user)})
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    return JsonResponse({**known, "csrf_token": get_token(request)})


def demo_token(user: User) -> str:
    """Create an API token for a demo user, and delete their demo tokens older than a day and all but the newest ten.

    Not all earlier ones: another window may be using one, and its socket would be closed.
    """
    _, secret = tokens.make(LABEL, user=user)
    delete_old_tokens(user=user)
    earlier = ApiToken.objects.filter(name=LABEL, user=user).order_by("-pk")
    newest = list(earlier.values_list("pk", flat=True)[:MAX_TOKENS_PER_PERSON])
    earlier.exclude(pk__in=newest).delete()
    return secret
