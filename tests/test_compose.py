"""There is no Docker engine where the tests run: they read what it would read, and check that the files agree."""

import re
import shlex
import subprocess
from collections.abc import Collection
from pathlib import Path
from typing import Any

import environ
import pytest
import yaml
from django.core.management import get_commands

from config.environment import ComposeVariables, Environment
from realtime.conf import Conf

ROOT = Path(__file__).resolve().parent.parent

# Read by uvicorn itself (proxy headers).
NOT_OURS = {"FORWARDED_ALLOW_IPS"}
COMPOSE_ONLY = {row.name for row in ComposeVariables.rows()}
READ_ELSEWHERE = {"DATABASE_URL", "REDIS_URL", "ALLOWED_HOSTS"}


def text(name: str) -> str:
    return (ROOT / name).read_text()


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(text("docker-compose.yml"))
    return loaded


@pytest.fixture(scope="module")
def services(compose) -> dict[str, Any]:
    found: dict[str, Any] = compose["services"]
    return found


def example_variables() -> dict[str, str]:
    """Every NAME=value of .env.example; a commented one is documented just as well."""
    return dict(re.findall(r"^(?:# )?([A-Z][A-Z0-9_]*)=(.*)$", text(".env.example"), re.MULTILINE))


def settings_variables() -> set[str]:
    """Every environment variable that config/settings.py reads."""
    return {row.name for row in Environment.rows() + Conf.rows()}


def interpolated(value: str) -> set[str]:
    return set(re.findall(r"\$\{([A-Z0-9_]+)", value))


def tracked_files() -> list[Path]:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        names = [ROOT / name for name in listed.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):  # no git, or an unpacked archive
        made = {".venv", ".cache", ".git", "node_modules", "var"}
        names = [path for path in ROOT.rglob("*") if not made & set(path.relative_to(ROOT).parts)]
    return [path for path in names if path.is_file()]


# -- docker-compose.yml --


def test_compose_has_the_stores_the_migration_two_servers_a_daily_job_and_a_proxy(services):
    assert set(services) == {"postgres", "redis", "migrate", "web1", "web2", "prune", "proxy"}


def test_everything_that_stays_up_has_a_healthcheck(services):
    for name, service in services.items():
        if name in ("migrate", "prune"):
            assert service["healthcheck"] == {"disable": True}
        else:
            assert service["healthcheck"]["test"], name


def test_the_servers_are_asked_whether_they_are_ready(services):
    for name in ("web1", "web2"):
        assert "/readyz" in " ".join(services[name]["healthcheck"]["test"])
    assert "/readyz" in text("Dockerfile")
    assert "health_uri /readyz" in text("deploy/Caddyfile")


def test_the_healthcheck_program_is_python(services):
    command = services["web1"]["healthcheck"]["test"]
    assert command[:3] == ["CMD", "python", "-c"]
    compile(command[3], "healthcheck", "exec")
    in_dockerfile = re.search(r"HEALTHCHECK .*?CMD \[(.*?)\]$", text("Dockerfile"), re.DOTALL | re.MULTILINE)
    assert in_dockerfile is not None
    assert command[3] in in_dockerfile[1]


def test_servers_start_after_the_migration_and_the_migration_after_the_database(services):
    assert services["migrate"]["depends_on"]["postgres"]["condition"] == "service_healthy"
    assert services["migrate"]["command"][:3] == ["python", "manage.py", "migrate_online"]
    for name in ("web1", "web2"):
        needs = services[name]["depends_on"]
        assert needs["migrate"]["condition"] == "service_completed_successfully"
        assert needs["redis"]["condition"] == "service_healthy"
        assert name in services["proxy"]["depends_on"]


def test_every_dependency_and_volume_exists(compose, services):
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (ROOT / source).exists() if source.startswith("./") else source in compose["volumes"]


def test_both_servers_are_the_same_and_leave_time_to_drain(services):
    assert services["web1"] == services["web2"]
    assert services["web1"]["stop_grace_period"] == "30s"
    assert services["web1"]["env_file"] == ".env"


def test_old_notifications_are_removed_daily(services):
    assert services["prune"]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    shell, option, program = services["prune"]["command"]
    assert (shell, option) == ("sh", "-c")
    subprocess.run(["sh", "-n", "-c", program], check=True)
    assert "manage.py prune_notifications --days ${PRUNE_DAYS:-90}; do sleep 86400;" in program
    # As PID 1 a shell would ignore SIGTERM.
    assert services["prune"]["init"] is True


def test_logs_are_rotated(services):
    for name, service in services.items():
        assert set(service["logging"]["options"]) == {"max-size", "max-file"}, name


def test_a_domain_is_set_in_one_place(services):
    assert services["proxy"]["environment"]["SITE_ADDRESS"] == "${SITE_ADDRESS:-localhost}"
    assert "${ALLOWED_HOSTS:-${SITE_ADDRESS:-localhost}}," in services["web1"]["environment"]["ALLOWED_HOSTS"]
    # A line in `.env` would win.
    assert "\n# ALLOWED_HOSTS=" in text(".env.example")


def test_only_the_proxy_is_published(services):
    assert [name for name, service in services.items() if "ports" in service] == ["proxy"]


def test_the_proxy_sends_to_the_servers_that_exist(services):
    upstreams = re.findall(r"\{\$UPSTREAMS:(.*?)\}", text("deploy/Caddyfile"))[0].split()
    assert set(upstreams) == {f"{name}:8000" for name in services if name.startswith("web")}
    assert '"--port", "8000"' in text("Dockerfile")


def test_the_default_addresses_are_those_of_the_stores(services):
    variables = services["web1"]["environment"]
    default = variables["DATABASE_URL"].removeprefix("${DATABASE_URL:-").removesuffix("}")
    database = environ.Env.db_url_config(re.sub(r"\$\{.*?\}", "secret", default))
    assert database["HOST"] in services
    store = services[database["HOST"]]["environment"]
    assert (database["NAME"], database["USER"]) == (store["POSTGRES_DB"], store["POSTGRES_USER"])
    assert "redis://redis:6379" in variables["REDIS_URL"]


def test_debug_is_off_in_production(services):
    assert services["web1"]["environment"]["DEBUG"] == "False"
    assert example_variables()["DEBUG"] == "False"


# -- The commands of the pages --

# The options that they may have, and whether each takes a value.
OPTIONS = {
    "build": {},
    "up": {"-d": False, "--build": False, "--no-deps": False, "--wait": False},
    "run": {"--rm": False},
    "exec": {"-T": False},
    "stop": {},
    "logs": {"-f": False, "--tail": True, "--since": True, "--no-log-prefix": False},
}


def compose_commands() -> list[str]:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    block = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    fenced = [found for page in pages for found in block.findall(page.read_text())]
    inline = [code for page in pages for code in re.findall(r"`(docker compose [^`]+)`", page.read_text())]
    lines = [line for commands in fenced for line in commands.splitlines()]
    return [line for line in [*lines, *inline] if line.startswith("docker compose ")]


def refused(command: str, services: Collection[str]) -> str | None:
    """Return what docker or Django would refuse of a command, if anything."""
    words = shlex.split(re.split(r" [<>] ", command)[0])[2:]
    verb, *rest = words
    if verb not in OPTIONS:
        return verb
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        if option not in OPTIONS[verb]:
            return option
        if OPTIONS[verb][option]:
            rest.pop(0)
    named = rest[:1] if verb in ("exec", "run") else rest
    if unknown := set(named) - set(services):
        return str(unknown)
    program = rest[1:] if verb in ("exec", "run") else []
    if program[:2] == ["python", "manage.py"] and program[2] not in get_commands():
        return program[2]
    return None


def test_the_pages_commands_are_ones_that_docker_and_django_know(services):
    commands = compose_commands()
    assert len(commands) > 10
    assert not [command for command in commands if refused(command, services)]


@pytest.mark.parametrize(
    "command",
    [
        "docker compose roll web1",
        "docker compose up -d --no-dep web1",
        "docker compose up -d web3",
        "docker compose exec -T database pg_dump",
        "docker compose run --rm migrate python manage.py rotate_epochs",
    ],
)
def test_another_command_is_found(services, command):
    """Negative control."""
    assert refused(command, services)


def test_an_upgrade_restarts_one_server_after_the_other_after_the_migration():
    section = text("docs/operations.md").split("\nAn upgrade restarts one server")[1].split("\n## ")[0]
    lines = section.split("```sh\n")[1].split("```")[0].splitlines()
    assert [line.removeprefix("docker compose ") for line in lines] == [
        "build",
        "run --rm migrate",
        "up -d --no-deps --wait web1",
        "up -d --no-deps --wait web2",
        "up -d",
    ]


# -- .env.example, settings.py and docker-compose.yml agree on the names --


def test_every_variable_that_compose_asks_for_is_in_the_example():
    missing = interpolated(text("docker-compose.yml")) - set(example_variables())
    assert not missing, f"not in .env.example: {sorted(missing)}"
    assert interpolated(text("docker-compose.yml")) == COMPOSE_ONLY | READ_ELSEWHERE


def test_every_variable_that_compose_sets_is_read_by_settings(services):
    unknown = set(services["web1"]["environment"]) - settings_variables() - NOT_OURS
    assert not unknown


def test_the_example_is_a_plain_env_file_without_secrets():
    for line in text(".env.example").splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.partition("=")
            assert re.fullmatch(r"[A-Z][A-Z0-9_]*", name), line
            assert shlex.split(value) == ([value] if value else []), line
    assert example_variables()["SECRET_KEY"] == ""
    assert example_variables()["POSTGRES_PASSWORD"] == ""


# -- Dockerfile --


def test_the_image_copies_what_exists_and_runs_as_an_ordinary_user():
    dockerfile = text("Dockerfile")
    sources = re.findall(r"^COPY (?!--from)(\S+) ", dockerfile, re.MULTILINE)
    assert {"config", "messaging", "realtime", "static", "manage.py", "requirements.txt"} == set(sources)
    ignored = text(".dockerignore").splitlines()
    for source in sources:
        assert (ROOT / source).exists()
        assert f"!{source}" in ignored
    assert dockerfile.index("USER doorbell") < dockerfile.index('CMD ["python", "manage.py"')


# -- nothing in the repository names where packages come from --


def test_no_file_names_a_registry():
    registries = re.compile(
        r"registry\.(?:npmjs|yarnpkg)|files\.pythonhosted|pypi\.org/simple|deb\.debian\.org"
        r"|(?:extra-)?index-url\s*[= ]|\"resolved\"\s*:|^\s*registry\s*=",
        re.MULTILINE,
    )
    own = Path(__file__).resolve()
    for path in tracked_files():
        if path == own:
            continue
        try:
            found = registries.search(path.read_text())
        except UnicodeDecodeError:
            continue
        assert not found, f"{path.relative_to(ROOT)}: {found[0]}"


def test_requirements_are_pinned_and_hashed_and_hold_no_address():
    for name in ("requirements.txt", "requirements-dev.txt"):
        content = text(name)
        assert "://" not in content
        entries = re.split(r"\n(?=\S)", content.strip())
        for entry in entries:
            assert "==" in entry.splitlines()[0], entry
            assert "--hash=sha256:" in entry, entry


def test_requirements_dev_holds_the_same_versions_as_requirements():
    pins = {
        name: set(re.findall(r"^[\w.-]+==\S+", text(name), re.MULTILINE))
        for name in ("requirements.txt", "requirements-dev.txt")
    }
    assert pins["requirements.txt"] <= pins["requirements-dev.txt"]


def test_no_lock_file_with_addresses_is_tracked():
    locks = {
        "uv.lock",
        "pylock.toml",
        "poetry.lock",
        "package-lock.json",
        "yarn.lock",
        "pnpm-lock.yaml",
        ".npmrc",
    }
    assert not locks & {path.name for path in tracked_files()}
