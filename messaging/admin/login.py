"""Signing in on a page, such as the admin's: what a refusal of login_throttle.py looks like there."""

import functools
from collections.abc import Callable

from django.contrib import admin
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.http.response import HttpResponseBase


class ShowsRefusal(AuthenticationForm):
    """A login form that says why it refuses, and for how long."""

    def get_invalid_login_error(self) -> ValidationError:
        refusal = getattr(self.request, "sign_in_refusal", None)
        if refusal is None:
            return super().get_invalid_login_error()
        return ValidationError(refusal.translated(), code=refusal.code)


class LoginForm(ShowsRefusal, AdminAuthenticationForm):
    pass


def too_many_requests(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Let a login view answer a refusal with 429 and `Retry-After`. Its page is as the form makes it."""

    @functools.wraps(view)
    def answer(request: HttpRequest, *args: object, **values: object) -> HttpResponseBase:
        response = view(request, *args, **values)
        refusal = getattr(request, "sign_in_refusal", None)
        if refusal is not None and response.status_code == 200:
            response.status_code = 429
            response["Retry-After"] = str(refusal.retry_after)
        return response

    return answer


if admin.site.login_form is None:
    admin.site.login_form = LoginForm
