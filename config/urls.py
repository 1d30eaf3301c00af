from django.contrib import admin
from django.urls import include, path

from . import api, views

admin.site.site_header = admin.site.site_title = "Doorbell"

urlpatterns = [
    path("", views.demo, name="demo"),
    path("demo/sign-in", views.sign_in, name="demo-sign-in"),
    *api.urls(),
    path("admin/", admin.site.urls),
    path("", include("realtime.urls")),
]
