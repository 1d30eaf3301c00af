from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.urls import path

from benchmarks.peers.tutorial_app.models import Message


def healthz(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok")


def send(request: HttpRequest) -> HttpResponse:
    """A view that sends a message, as any project's does."""
    receiver = User.objects.get(username=request.GET["receiver"])
    Message._default_manager.create(sender=request.user, receiver=receiver, content=request.GET["content"])
    return HttpResponse("sent", status=201)


urlpatterns = [path("healthz", healthz), path("send/", send)]
