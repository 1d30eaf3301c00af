from django.contrib import admin
from django.urls import include, path, re_path

from messaging.admin.login import too_many_requests
from realtime.http import api

admin.site.site_header = admin.site.site_title = "Doorbell"

handler400, handler500 = api.bad_request, api.server_error

urlpatterns = [
    path("", include("config.demo.urls")),
    path("admin/login/", too_many_requests(admin.site.login)),
    path("admin/", admin.site.urls),
    path("", include("realtime.urls")),
    path("", include("realtime.ops_urls")),
    # Beside the API, which answers below its own prefix.
    re_path("^api(?:/(?!v1/)|$)", api.not_found),
]
