from django.urls import path

from . import faults, views

urlpatterns = [
    path("", views.demo, name="demo"),
    path("demo/sign-in", views.sign_in, name="demo-sign-in"),
    path("demo/ring", faults.ring, name="demo-ring"),
    path("demo/lose-process", faults.lose_process, name="demo-lose-process"),
    path("demo/sign-out", faults.sign_out, name="demo-sign-out"),
]
