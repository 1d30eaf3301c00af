"""Names that a project has already: on its user model, in its data migrations, and as the labels of its apps."""

import re
import shutil
from collections.abc import Callable

import pytest

from conftest import size
from tests.hosts.project import SETTINGS, HostProject
from tests.hosts.visitor import QUICK, Visitor, serving

Make = Callable[..., HostProject]
OURS = "http://localhost"
pytestmark = pytest.mark.timeout(600)

# A profile like most projects', notifications like django-notifications', and a message of its own.
MODELS = """
from django.conf import settings
from django.db import models
class Profile(models.Model):
    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, related_name="profile")
    bio = models.TextField()
class Notice(models.Model):
    recipient = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="notifications")
    verb = models.CharField(max_length=80)
    class Meta:
        indexes = [models.Index(fields=["verb"], name=name) for name in ("notification_unread", "profile_changed")]
        constraints = [models.UniqueConstraint(fields=["recipient", "verb"], name="notification_once")]
class Letter(models.Model):
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_query_name="sent_messages")
"""
# It runs when all of Doorbell's models are in the state. That has apps in the order of labels, and of two equal names
# the later one's holds: Doorbell's, were it there.
DATA_MIGRATION = """
from django.db import migrations
def forwards(apps, schema_editor):
    User, Profile = apps.get_model("auth", "User"), apps.get_model("accounts", "Profile")
    user = User.objects.create(username="margaret")
    Profile.objects.create(user=user, bio="Counts")
    assert User.objects.filter(profile__bio="Counts").update(first_name="Margaret") == 1
    assert user.profile.bio == "Counts"
    assert User.objects.filter(notifications__verb="liked").count() == 0
    assert User.objects.filter(sent_messages__isnull=True).count() == 1
class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0001_initial"), ("messaging", "__latest__"), ("realtime", "__latest__"),
    ]
    operations = [migrations.RunPython(forwards)]
"""
ACCOUNTS = {"accounts/__init__.py": "", "accounts/models.py": MODELS}
INSTALLED = f"{QUICK}INSTALLED_APPS += ['accounts']\nSILENCED_SYSTEM_CHECKS = ['realtime.W001']\n"
LOOK = """
from django.contrib.auth.models import User
from django.core.management import call_command
from messaging.models import UserProfile
ada = User.objects.get(username="ada")
assert not any(isinstance(getattr(ada, name, None), UserProfile) for name in ("profile", "inbox"))
assert hasattr(ada, "doorbell_profile") is {renamed}
if {renamed}:
    assert ada.doorbell_profile.is_online in (True, False)
    assert User.objects.filter(doorbell_profile__version__gte=0, doorbell_notifications__title="Hello").exists()
assert User.objects.filter(first_name="Margaret", profile__bio="Counts").count() == 1
call_command("check_inboxes", "--repair")
print(ada.delete()[0] > 0)
"""


def with_accounts(host: Make, more: str = "") -> HostProject:
    project = host(INSTALLED + more, ACCOUNTS)
    project.manage("makemigrations", "accounts", "--skip-checks")
    project.write("accounts/migrations/0002_data.py", DATA_MIGRATION)
    return project


def works(project: HostProject, *, renamed: bool) -> None:
    assert "no issues" in project.manage("check").stdout
    assert "No changes" in project.manage("makemigrations", "--check").stdout
    with serving(project, from_nothing=True) as server:
        ada, grace = Visitor(server), Visitor(server)
        ada.sign_in()
        grace.sign_in("grace")
        said = {"receiver": "grace", "content": "Good morning"}
        assert ada.call("POST", "/api/v1/messages", said)[0] == 201
        with grace.socket(OURS):
            with ada.socket(OURS) as socket:
                state = socket.next()
                assert [seen["user"]["username"] for seen in state["online"]] == ["grace"]
            [seen] = ada.call("GET", "/api/v1/presence")[1]["items"]
            assert seen["is_online"]
        project.manage("notify", "ada", "Hello")
        assert ada.call("GET", "/api/v1/notifications")[1]["items"][0]["title"] == "Hello"
    assert project.shell(LOOK.format(renamed=renamed)).split()[-1] == "True"


def test_the_check_says_what_to_paste_where_names_are_taken(host: Make) -> None:
    project = with_accounts(host)
    refused = project.manage("check", check=False)
    assert refused.returncode == 1
    assert "messaging.E007" in refused.stderr
    assert "'notifications' and 'profile' and 'sent_messages'" in refused.stderr
    assert "messaging.UserProfile.user: (fields." not in refused.stderr
    project.write(SETTINGS, re.findall(r"DOORBELL_REVERSE_NAMES = \{.*?\}", refused.stderr)[0], append=True)
    works(project, renamed=True)


def test_a_project_may_want_no_names_at_all(host: Make) -> None:
    works(with_accounts(host, "DOORBELL_REVERSE_NAMES = False\n"), renamed=False)


def test_another_name_makes_no_migration_and_a_name_in_ours_would_break_the_projects(host: Make) -> None:
    project = with_accounts(host, "DOORBELL_REVERSE_NAMES = {'profile': 'p', 'notifications': None}\n")
    project.write(SETTINGS, "DOORBELL_REVERSE_NAMES |= {'sent_messages': 'posted'}", append=True)
    assert "No changes" in project.manage("makemigrations", "--check").stdout
    # The control: what Django itself would have written into the migration.
    site = shutil.copytree(project.environment["PYTHONPATH"], project.folder.parent / "site")
    project.environment["PYTHONPATH"] = str(site)
    migration = site / "messaging/migrations/0001_initial.py"
    head, model, tail = migration.read_text().rpartition("models.OneToOneField(")
    assert "related_name='+'" in tail
    migration.write_text(head + model + tail.replace("related_name='+'", "related_name='profile'", 1))
    assert "bio" in project.manage("migrate", check=False).stderr


OWN_ATTRIBUTES = """
from django.contrib.auth.models import AbstractUser
class Mixin:
    def connections(self):
        return "of the mixin"
class Account(Mixin, AbstractUser):
    @property
    def inbox(self):
        return "of the project"
"""


def test_a_property_or_method_of_the_user_model_stays_and_is_found(host: Make) -> None:
    files = {"people/__init__.py": "", "people/models.py": OWN_ATTRIBUTES}
    project = host("INSTALLED_APPS += ['people']\nAUTH_USER_MODEL = 'people.Account'\n", files)
    project.manage("makemigrations", "people", "--skip-checks")
    refused = project.manage("check", check=False).stderr
    assert "'connections' and 'inbox'" in refused
    shown = "from people.models import Account\nprint(Account().inbox, Account().connections())"
    assert project.shell(shown).strip() == "of the project of the mixin"
    project.write(SETTINGS, "DOORBELL_REVERSE_NAMES = {'connections': None, 'inbox': 'bell'}", append=True)
    assert "no issues" in project.manage("check").stdout


@pytest.mark.parametrize(
    ("label", "installed"),
    [
        ("messaging", "[*INSTALLED_APPS, 'accounts.talk']"),
        ("realtime", "['accounts.talk', *INSTALLED_APPS]"),
        ("messaging", "['accounts.talk.apps.Talk', *INSTALLED_APPS]"),
        ("realtime", "[*INSTALLED_APPS, 'accounts.talk']"),
    ][: size(2, full=4)],
)
def test_a_label_that_is_taken_is_an_error_that_names_the_way_out(
    host: Make, label: str, installed: str
) -> None:
    files = {
        "accounts/__init__.py": "",
        "accounts/talk/__init__.py": "",
        "accounts/talk/apps.py": "from django.apps import AppConfig\n"
        f"class Talk(AppConfig):\n    name, label = 'accounts.talk', {label!r}\n",
    }
    refused = host(f"INSTALLED_APPS = {installed}\n", files).manage("check", check=False)
    last = refused.stderr.strip().splitlines()[-1]
    assert f"Two apps have the label {label!r}: Doorbell's and 'accounts.talk" in last
    assert "docs/service.md" in last


@pytest.mark.parametrize("package", ["messaging", "realtime"])
def test_a_package_of_the_projects_that_hides_ours_is_an_error_that_names_the_way_out(
    host: Make, package: str
) -> None:
    refused = host("", {f"{package}/__init__.py": ""}).manage("check", check=False)
    last = refused.stderr.strip().splitlines()[-1]
    assert f"The package {package!r}" in last
    assert "docs/service.md" in last
