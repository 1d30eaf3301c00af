"""The private PostgreSQL and Redis of the tests: they answer, survive kill and restart, and leave nothing behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import environ
import psycopg
import pytest
import redis.exceptions
from redis import Redis

from tools import services
from tools.services import postgresql

ROOT = Path(__file__).resolve().parent.parent
SERVICES = [sys.executable, "-m", "tools.services"]


@pytest.fixture(scope="module")
def postgres() -> Iterator[services.PostgresServer]:
    with services.PostgresServer() as server:
        yield server


@pytest.fixture
def server() -> Iterator[services.RedisServer]:
    with services.redis() as running:
        yield running


def client(server: services.RedisServer) -> Redis:
    return Redis.from_url(server.url, socket_timeout=0.2, retry=None)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    status = Path(
        f"/proc/{pid}/stat"
    )  # a zombie that no init process reaps in a bare container counts as ended
    try:
        return status.read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return status.parent.parent.joinpath("self").exists()


def wait_until(condition, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not within the deadline"
        time.sleep(0.02)


def test_postgres_answers_and_speaks_utf8(postgres):
    with psycopg.connect(postgres.url) as connection:
        row = connection.execute("SELECT current_database(), current_setting('server_encoding')").fetchone()
    assert row == ("doorbell", "UTF8")


def test_django_environ_reads_the_url_as_libpq_does(postgres):
    settings = environ.Env.db_url_config(postgres.url)
    assert settings["ENGINE"] == "django.db.backends.postgresql"
    with psycopg.connect(user=settings["USER"], dbname=settings["NAME"], **settings["OPTIONS"]) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_postgres_keeps_what_was_committed_when_it_is_killed(postgres):
    with psycopg.connect(postgres.url) as connection:
        connection.execute("CREATE TABLE kept (x int)")
        connection.execute("INSERT INTO kept VALUES (1)")
    url = postgres.url
    postgres.kill()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)
    postgres.start()
    assert postgres.url == url
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT x FROM kept").fetchall() == [(1,)]


def test_postgres_never_runs_as_root(postgres):
    assert (postgres.folder / "data").stat().st_uid != 0


def test_postgres_runs_from_a_copy_where_its_account_cannot_reach_the_original(monkeypatch):
    monkeypatch.setattr(postgresql, "can_run", lambda program, options: False)
    with services.PostgresServer() as server:
        assert (server.folder / "copy").is_dir()
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_killed_redis_comes_back_empty_at_the_same_address(server):
    client(server).set("bell", "rung")
    url, pid = server.url, server.pid
    server.kill()
    assert not server.running
    with pytest.raises(redis.exceptions.ConnectionError):
        client(server).ping()
    server.start()
    assert server.url == url
    assert server.pid != pid
    assert client(server).get("bell") is None


def test_a_paused_redis_hangs_and_goes_on(server):
    client(server).set("bell", "rung")
    server.pause()
    with pytest.raises(redis.exceptions.TimeoutError):
        client(server).get("bell")
    server.resume()
    assert client(server).get("bell") == b"rung"


def test_a_paused_server_can_be_stopped(server):
    server.pause()
    pid = server.pid
    server.stop()
    assert gone(pid)


def test_nothing_is_left_behind():
    with services.PostgresServer() as database, services.redis() as layer:
        pids, folders = (database.pid, layer.pid), (database.folder, layer.folder)
        assert all(folder.is_dir() for folder in folders)
    assert all(gone(pid) for pid in pids)
    assert not any(folder.exists() for folder in folders)


def test_the_servers_end_with_a_process_that_is_killed():
    program = (
        "import time; from tools import services\n"
        "with services.redis() as server: print(server.pid, server.folder, flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        pid, folder = owner.stdout.readline().split()
        owner.kill()
    wait_until(lambda: gone(int(pid)) and not Path(folder).exists())


def test_the_command_gets_both_addresses_and_its_exit_code_is_ours():
    done = subprocess.run(
        [*SERVICES, "--pg", "--redis", "--", "sh", "-c", 'echo "$DATABASE_URL $REDIS_URL"; exit 7'],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 7, done.stderr
    database, layer = done.stdout.split()
    assert database.startswith("postgres://doorbell@/doorbell?host=")
    assert layer.startswith("redis://127.0.0.1:")
    assert not Path(database.partition("host=")[2]).exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_reaches_the_command_and_everything_is_cleaned_up(number):
    # SIGINT is ignored in a background shell; the command is a Python that sets both back.
    program = (
        "import os, signal; [signal.signal(n, signal.SIG_DFL) for n in (signal.SIGINT, signal.SIGTERM)];"
        "print(os.environ['DATABASE_URL'], flush=True); signal.pause()"
    )
    with subprocess.Popen(
        [*SERVICES, "--pg", "--", sys.executable, "-c", program],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as runner:
        assert runner.stdout is not None
        folder = Path(runner.stdout.readline().strip().partition("host=")[2])
        assert folder.is_dir()
        runner.send_signal(number)
        assert runner.wait(30) == 128 + number
    assert not folder.exists()


@pytest.mark.parametrize(
    ("option", "variable", "value"),
    [("--pg", "PG_BIN", "/nonexistent"), ("--redis", "REDIS_SERVER", "/nonexistent")],
)
def test_a_missing_server_names_the_fix(option, variable, value):
    done = subprocess.run(
        [*SERVICES, option, "--", "true"],
        cwd=ROOT,
        env={**os.environ, variable: value},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 3
    assert variable in done.stderr
    assert "make setup-dev" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_server_that_cannot_start_shows_its_log(monkeypatch, tmp_path):
    broken = tmp_path / "redis-server"
    broken.write_text("#!/bin/sh\necho no such option >&2\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setenv("REDIS_SERVER", str(broken))
    with (
        pytest.raises(services.ServiceError, match=r"ended with code 3(.|\n)*no such option"),
        services.redis(),
    ):
        pass
