from django.contrib import admin
from django.urls import include, path

from realtime.http import api

from . import faults, views

admin.site.site_header = admin.site.site_title = "Doorbell"

handler400, handler500 = api.bad_request, api.server_error

urlpatterns = [
    path("", views.demo, name="demo"),
    path("demo/sign-in", views.sign_in, name="demo-sign-in"),
    path("demo/ring", faults.ring, name="demo-ring"),
    path("demo/lose-process", faults.lose_process, name="demo-lose-process"),
    path("demo/sign-out", faults.sign_out, name="demo-sign-out"),
    path("admin/", admin.site.urls),
    path("", include("realtime.urls")),
]
