from django.urls import path

from . import faults, hearts, views

urlpatterns = [
    path("", views.demo, name="demo"),
    path("demo/sign-in", views.sign_in, name="demo-sign-in"),
    path("demo/messages/<int:message_id>/heart", hearts.send_heart, name="demo-heart"),
    path("demo/messages/<int:message_id>/thanks", hearts.say_thanks, name="demo-thanks"),
    path("demo/ring", faults.ring, name="demo-ring"),
    path("demo/lose-process", faults.lose_process, name="demo-lose-process"),
    path("demo/sign-out", faults.sign_out, name="demo-sign-out"),
]
