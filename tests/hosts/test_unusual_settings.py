"""Settings that shouldn't touch Doorbell, or that Django applies for it: all with unusual values, in one project."""

from collections.abc import Callable

from tests.hosts.project import HostProject
from tests.hosts.visitor import QUICK, Visitor, serving
from tests.live.servers import find_faults

# By name, as source text.
UNUSUAL = {
    "ABSOLUTE_URL_OVERRIDES": "{'auth.user': lambda user: f'/people/{user.pk}/'}",
    "ADMINS": "[]",
    "APPEND_SLASH": "False",
    "AUTH_PASSWORD_VALIDATORS": "[]",
    "CACHES": "{'default': {'BACKEND': 'django.core.cache.backends.dummy.DummyCache'}}",
    "CACHE_MIDDLEWARE_ALIAS": "'default'",
    "CACHE_MIDDLEWARE_KEY_PREFIX": "'ours'",
    "CACHE_MIDDLEWARE_SECONDS": "5",
    "CSRF_COOKIE_AGE": "None",
    "CSRF_COOKIE_DOMAIN": "'localhost'",
    "CSRF_COOKIE_HTTPONLY": "True",
    "CSRF_COOKIE_NAME": "'ours_csrf'",
    "CSRF_COOKIE_PATH": "'/'",
    "CSRF_COOKIE_SAMESITE": "'Strict'",
    "CSRF_COOKIE_SECURE": "True",
    "CSRF_FAILURE_VIEW": "'mysite.views.refused'",
    "CSRF_USE_SESSIONS": "True",
    "DATA_UPLOAD_MAX_MEMORY_SIZE": "5000",
    "DATA_UPLOAD_MAX_NUMBER_FIELDS": "20",
    "DATA_UPLOAD_MAX_NUMBER_FILES": "1",
    "DATETIME_FORMAT": "'j. F Y H:i'",
    "DATETIME_INPUT_FORMATS": "['%d.%m.%Y %H:%M']",
    "DATE_FORMAT": "'j. F Y'",
    "DATE_INPUT_FORMATS": "['%d.%m.%Y']",
    "DEBUG_PROPAGATE_EXCEPTIONS": "True",
    "DECIMAL_SEPARATOR": "','",
    "DEFAULT_AUTO_FIELD": "'django.db.models.AutoField'",
    "DEFAULT_CHARSET": "'cp1252'",
    "DEFAULT_EXCEPTION_REPORTER": "'django.views.debug.ExceptionReporter'",
    "DEFAULT_EXCEPTION_REPORTER_FILTER": "'django.views.debug.SafeExceptionReporterFilter'",
    "DEFAULT_FROM_EMAIL": "'site@example.org'",
    "DEFAULT_INDEX_TABLESPACE": "'pg_default'",
    "DEFAULT_TABLESPACE": "'pg_default'",
    "DISALLOWED_USER_AGENTS": "[re.compile('^BadBot')]",
    "FILE_UPLOAD_DIRECTORY_PERMISSIONS": "0o700",
    "FILE_UPLOAD_HANDLERS": "['django.core.files.uploadhandler.TemporaryFileUploadHandler']",
    "FILE_UPLOAD_MAX_MEMORY_SIZE": "0",
    "FILE_UPLOAD_PERMISSIONS": "0o600",
    "FILE_UPLOAD_TEMP_DIR": "None",
    "FIRST_DAY_OF_WEEK": "1",
    "FIXTURE_DIRS": "[]",
    "FORCE_SCRIPT_NAME": "'/app'",
    "FORMAT_MODULE_PATH": "None",
    "FORM_RENDERER": "'django.forms.renderers.TemplatesSetting'",
    "IGNORABLE_404_URLS": "[re.compile('favicon')]",
    "INTERNAL_IPS": "['127.0.0.1']",
    "LANGUAGES_BIDI": "['ar']",
    "LANGUAGE_CODE": "'de'",
    "LOGIN_REDIRECT_URL": "'/elsewhere/'",
    "LOGIN_URL": "'/sign-in/'",
    "LOGOUT_REDIRECT_URL": "'/bye/'",
    "MANAGERS": "[]",
    "MEDIA_ROOT": "BASE_DIR / 'media'",
    "MEDIA_URL": "'/media/'",
    "MESSAGE_STORAGE": "'django.contrib.messages.storage.session.SessionStorage'",
    "MONTH_DAY_FORMAT": "'j. F'",
    "NUMBER_GROUPING": "3",
    "PASSWORD_HASHERS": "['django.contrib.auth.hashers.ScryptPasswordHasher']",
    "PASSWORD_RESET_TIMEOUT": "60",
    "SECURE_CONTENT_TYPE_NOSNIFF": "False",
    "SECURE_CROSS_ORIGIN_OPENER_POLICY": "None",
    "SECURE_HSTS_INCLUDE_SUBDOMAINS": "True",
    "SECURE_HSTS_PRELOAD": "True",
    "SECURE_HSTS_SECONDS": "60",
    "SECURE_REFERRER_POLICY": "'no-referrer'",
    "SERVER_EMAIL": "'server@example.org'",
    "SESSION_COOKIE_AGE": "600",
    "SESSION_COOKIE_DOMAIN": "'localhost'",
    "SESSION_COOKIE_HTTPONLY": "False",
    "SESSION_COOKIE_NAME": "'ours_session'",
    "SESSION_COOKIE_PATH": "'/'",
    "SESSION_COOKIE_SAMESITE": "'Strict'",
    "SESSION_COOKIE_SECURE": "True",
    "SESSION_EXPIRE_AT_BROWSER_CLOSE": "True",
    "SESSION_SAVE_EVERY_REQUEST": "True",
    "SHORT_DATETIME_FORMAT": "'d.m.y H:i'",
    "SHORT_DATE_FORMAT": "'d.m.y'",
    "SILENCED_SYSTEM_CHECKS": "[]",
    "STATIC_ROOT": "BASE_DIR / 'collected'",
    "STATIC_URL": "'https://cdn.example.org/static/'",
    "TASKS": "{'default': {'BACKEND': 'django.tasks.backends.dummy.DummyBackend'}}",
    "TEST_NON_SERIALIZED_APPS": "['messaging']",
    "THOUSAND_SEPARATOR": "'.'",
    "TIME_FORMAT": "'H:i'",
    "TIME_INPUT_FORMATS": "['%H:%M']",
    "TIME_ZONE": "'America/New_York'",
    "URLIZE_ASSUME_HTTPS": "True",
    "USE_BLANK_CHOICE_DASH": "True",
    "USE_THOUSAND_SEPARATOR": "True",
    "X_FRAME_OPTIONS": "'DENY'",
    "YEAR_MONTH_FORMAT": "'F Y'",
}
EMAIL = {
    "EMAIL_BACKEND": "'django.core.mail.backends.dummy.EmailBackend'",
    "EMAIL_HOST": "'mail.example.org'",
    "EMAIL_HOST_PASSWORD": "'secret'",
    "EMAIL_HOST_USER": "'site'",
    "EMAIL_PORT": "2525",
    "EMAIL_SUBJECT_PREFIX": "'[site] '",
    "EMAIL_SSL_CERTFILE": "None",
    "EMAIL_SSL_KEYFILE": "None",
    "EMAIL_TIMEOUT": "5",
    "EMAIL_USE_LOCALTIME": "True",
    "EMAIL_USE_SSL": "False",
    "EMAIL_USE_TLS": "True",
}
LANGUAGE_COOKIE = {
    "LANGUAGE_COOKIE_AGE": "60",
    "LANGUAGE_COOKIE_DOMAIN": "None",
    "LANGUAGE_COOKIE_HTTPONLY": "True",
    "LANGUAGE_COOKIE_NAME": "'ours_language'",
    "LANGUAGE_COOKIE_PATH": "'/'",
    "LANGUAGE_COOKIE_SAMESITE": "'Strict'",
    "LANGUAGE_COOKIE_SECURE": "False",
}
# More middleware than startproject has, in a host's usual places.
MIDDLEWARE = """
MIDDLEWARE.insert(0, "django.middleware.gzip.GZipMiddleware")
MIDDLEWARE.insert(1, "django.middleware.http.ConditionalGetMiddleware")
MIDDLEWARE.insert(4, "django.middleware.locale.LocaleMiddleware")
MIDDLEWARE.append("django.middleware.common.BrokenLinkEmailsMiddleware")
INSTALLED_APPS.append("django.forms")
"""
VIEWS = """
from django.http import HttpResponse
def refused(request, reason=""):
    return HttpResponse("the project's own", status=403)
"""
# The keys of rows have five digits, so that a thousands separator shows wherever a number is rendered for people.
FAR_ROWS = """
from django.contrib.auth.models import User
from messaging.models import Message, Notification
ada, grace = User.objects.get(username="ada"), User.objects.get(username="grace")
message = Message.objects.create(pk=12345, sender=grace, receiver=ada, content="Hello")
note = Notification.objects.create(pk=67890, user=ada, notification_type="announcement", title="Zürich, 5 €")
print(note.pk)
"""
ADMIN_PAGES = """
from django.contrib.auth.models import User
from django.test import Client
from messaging.models import Message, Notification
client = Client(headers={"host": "localhost"})
client.force_login(User.objects.create_superuser("root"))
for model, pk in ((Message, 12345), (Notification, 67890)):
    name = model._meta.model_name
    page = client.get(f"/admin/messaging/{name}/").content.decode("cp1252")
    assert f"/app/admin/messaging/{name}/{pk}/change/" in page, page
    assert client.get(f"/admin/messaging/{name}/{pk}/change/").status_code == 200
    assert ("Nachrichten" if model is Message else "Benachrichtigungen") + " als gelesen markieren" in page, page
for model in ("userprofile", "inbox", "apitoken"):
    assert client.get(f"/admin/messaging/{model}/").status_code == 200, model
print("ok")
"""


def test_a_project_with_unusual_settings_works(host: Callable[..., HostProject]) -> None:
    lines = [f"{name} = {value}" for name, value in {**UNUSUAL, **EMAIL, **LANGUAGE_COOKIE}.items()]
    project = host("import re\n" + "\n".join(lines) + "\n" + MIDDLEWARE + QUICK, {"mysite/views.py": VIEWS})
    with serving(project, from_nothing=True) as server:
        project.shell(FAR_ROWS)
        ada, grace = Visitor(server), Visitor(server)
        ada.sign_in()
        grace.sign_in("grace")
        assert ada.hello("http://localhost")["unread_count"] == 2
        status, page = ada.call("GET", "/api/v1/notifications?limit=1")
        assert (status, page["items"][0]["title"], page["unread_count"]) == (200, "Zürich, 5 €", 2)
        assert page["items"][0]["created_at"].endswith("Z")
        sent = grace.call("POST", "/api/v1/messages", {"receiver": "ada", "content": "Guten Tag"})
        assert (sent[0], sent[1]["timestamp"][-1]) == (201, "Z")
        ids = [item["id"] for item in ada.call("GET", "/api/v1/notifications")[1]["items"]]
        assert ada.call("POST", "/api/v1/notifications/read", {"ids": ids})[1]["unread_count"] == 0
        # Without the token the API's own answer, not the project's page.
        refused = ada.call("POST", "/api/v1/notifications/read", {"ids": ids}, **{"X-CSRFToken": "wrong"})
        assert (refused[0], refused[1]["code"]) == (403, "csrf_failed")
        too_large = ada.call("POST", "/api/v1/notifications/read", {"ids": list(range(2_000))})
        assert too_large == (413, {"detail": "The body is too large.", "code": "too_large"})
        ticket = ada.call("POST", "/api/v1/ticket", {})[1]["ticket"]
        assert ada.hello("http://localhost", ticket=ticket)["user"]["username"] == "ada"
        assert ada.call("GET", "/api/v1/openapi.json")[1]["openapi"]
        assert project.shell(ADMIN_PAGES).strip() == "ok"
    assert not find_faults([(project.log, 0)])
