"""The probes and the metrics, for a project that serves them: a URLconf of its own, apart from the API's."""

from django.urls import path

from .http import health, metrics

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", metrics.metrics, name="metrics"),
]
