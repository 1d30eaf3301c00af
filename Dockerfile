# The server. Built once, run as migrate, web1 and web2 (docker-compose.yml).
FROM python:3.11-slim AS build
RUN python -m venv /venv
COPY requirements.txt .
RUN /venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.txt

FROM python:3.11-slim
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DEBUG=False
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin doorbell
COPY --from=build /venv /venv
WORKDIR /app
COPY manage.py ./
COPY config config
COPY messaging messaging
COPY realtime realtime
COPY static static
# This key is for this command only; without a key of its own the server doesn't start.
RUN mkdir var \
    && SECRET_KEY=only-to-collect-static-files python manage.py collectstatic --noinput --verbosity 0 \
    && chown -R doorbell var
USER doorbell
EXPOSE 8000
# The healthcheck needs 127.0.0.1 in ALLOWED_HOSTS; docker-compose.yml adds it.
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/readyz', timeout=2)"]
# No shell in between, so that SIGTERM reaches the server, which then drains its sockets.
CMD ["python", "manage.py", "serve", "--host", "0.0.0.0", "--port", "8000"]
