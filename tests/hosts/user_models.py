"""Projects' own user models, as source text: each a `people` app, and how one of its users is made and deactivated."""

from dataclasses import dataclass

MANAGER = """
from django.contrib.auth.models import AbstractBaseUser, AbstractUser, BaseUserManager, PermissionsMixin, UserManager
from django.db import connection, models
class People(BaseUserManager):
    def create_user(self, name, password=None, **more):
        person = self.model(**{self.model.USERNAME_FIELD: name}, **more)
        person.set_password(password)
        person.save()
        return person
    def create_superuser(self, name, password=None, **more):
        return self.create_user(name, password, is_staff=True, is_superuser=True, **more)
"""
ADMIN = """
from django.contrib import admin
from django.contrib.auth import get_user_model
User = get_user_model()
@admin.register(User)
class PersonAdmin(admin.ModelAdmin):
    search_fields = [User.USERNAME_FIELD]
    fields = [User.USERNAME_FIELD]
"""


@dataclass(frozen=True)
class UserModel:
    """`names`: of a user by their first name; `spelled`: the same name in another spelling, if that is one name.

    `text_ids`: whether a user's id is a text on the wire.
    `deactivate`: statements on `user`, at which a socket is closed. `others`: statements that make further `users`.
    `settings`: further lines.
    `later`: what the first migration has, and what stands there after another one.
    """

    models: str
    label: str = "people.Account"
    names: str = "{}"
    deactivate: str = "user.is_active = False; user.save()"
    restore: str = "user.is_active = True; user.save()"
    has_admin: bool = True
    can_deactivate: bool = True
    text_ids: bool = False
    later: tuple[str, str] = ("", "")
    spelled: str = ""
    others: str = ""
    settings: str = ""


NEITHER_COLUMN_NOR_RIGHTS = """
class Account(AbstractBaseUser):
    key = models.AutoField(primary_key=True, db_column="group")
    name = models.CharField(max_length=80, unique=True, db_column="order")
    last_login = None
    objects = People()
    USERNAME_FIELD = "name"
    class Meta:
        db_table = "user"
"""
EMAIL = """
class Account(AbstractUser):
    username = None
    email = models.EmailField(unique=True, max_length=254, null=True)
    objects = People()
    USERNAME_FIELD, REQUIRED_FIELDS = "email", []
    def __str__(self):
        # Django's own isn't a text then, and its admin fails.
        return self.email or "nameless"
"""
OTHER_MANAGER = """
class Account(AbstractUser):
    people = UserManager()
    objects = None
    date_joined = first_name = None
    class Meta:
        default_manager_name = "people"
"""
SOFT_DELETION = """
class Present(UserManager):
    def get_queryset(self):
        return super().get_queryset().filter(deleted_at=None)
class Account(AbstractUser):
    deleted_at = models.DateTimeField(null=True)
    objects = Present()
    everyone = models.Manager()
"""
LARGE_KEYS = """
import itertools
class Account(AbstractUser):
    id = models.BigIntegerField(primary_key=True)
    def save(self, *args, **kwargs):
        if self.pk is None:
            largest = Account.objects.aggregate(largest=models.Max("pk"))["largest"]
            self.pk = (largest or 2**53) + 1
        super().save(*args, **kwargs)
"""
UUID_KEYS = """
import uuid
class Account(AbstractUser):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
"""
# ada's and grace's keys differ in case alone.
TEXT_KEYS = """
KEY = "o'b/é%s \\"?#&+;\\\\ ü€😀..".ljust(255, "k")
class Account(AbstractUser):
    id = models.CharField(primary_key=True, max_length=255)
    def save(self, *args, **kwargs):
        self.pk = self.pk or {"ada": KEY, "grace": KEY.upper()}.get(self.username, self.username)
        super().save(*args, **kwargs)
"""
PROXY = """
class Base(AbstractUser):
    pass
class Account(Base):
    class Meta:
        proxy = True
"""
BESIDE = """
class Account(AbstractUser):
    pass
class Member(Account):
    class Meta:
        proxy = True
class Employee(Account):
    number = models.AutoField(primary_key=True)
    account = models.OneToOneField(Account, models.CASCADE, parent_link=True)
    objects = UserManager()
"""
CHILD = """
class Person(AbstractUser):
    serial = models.AutoField(primary_key=True, db_column="nr")
    email = models.EmailField("address", db_column="mail")
class Customer(Person):
    objects = UserManager()
class Account(Person):
    shoe_size = models.IntegerField(default=42)
    objects = UserManager()
"""
COMPUTED = """
class Account(AbstractBaseUser, PermissionsMixin):
    name = models.CharField(
        max_length=80, unique=True, db_collation="C" if connection.vendor == "postgresql" else "BINARY"
    )
    is_staff = models.BooleanField(default=False)
    closed_at = models.DateTimeField(null=True)
    objects = People()
    USERNAME_FIELD = "name"
    @property
    def is_active(self):
        return self.closed_at is None
"""
WITHOUT_CASE = """
ON_POSTGRESQL = connection.vendor == "postgresql"
class EmailField(models.EmailField):
    def db_type(self, connection):
        return "citext" if ON_POSTGRESQL else super().db_type(connection)
class Account(AbstractUser):
    email = EmailField(unique=True, db_collation=None if ON_POSTGRESQL else "NOCASE")
    username = None
    objects = People()
    USERNAME_FIELD, REQUIRED_FIELDS = "email", []
"""

# Without it no other user sees the addresses: tests/hosts/test_shown_names.py.
SHOWN = "DOORBELL_NAME = 'messaging.names.Username'\n"
USER_MODELS = {
    # The first three are those of `make test`: two on each database.
    "text keys": UserModel(TEXT_KEYS, text_ids=True),
    "soft deletion": UserModel(
        SOFT_DELETION,
        deactivate="user.deleted_at = timezone.now(); user.save()",
        restore="user.deleted_at = None; user.save()",
    ),
    "child of a model": UserModel(
        CHILD,
        later=("shoe_size = models.Integer", "shoe_size = models.BigInteger"),
        deactivate="person = user.person_ptr; person.is_active = False; person.save()",
        restore="person = user.person_ptr; person.is_active = True; person.save()",
    ),
    "no is_active column, no rights, keywords as names": UserModel(
        NEITHER_COLUMN_NOR_RIGHTS,
        deactivate="user.set_password('another'); user.save()",
        restore="user.set_password(PASSWORD); user.save()",
        has_admin=False,
        can_deactivate=False,
    ),
    "e-mail as the name": UserModel(
        EMAIL,
        names="{}+" + "a/b" * 18 + "@" + ".".join(["x" * 60] * 3) + ".example",
        others="users.create(email=None)",
        settings=SHOWN,
    ),
    "e-mail without case": UserModel(
        WITHOUT_CASE, names="{}@Example.org", spelled="{}@EXAMPLE.ORG", settings=SHOWN
    ),
    "another manager": UserModel(OTHER_MANAGER),
    "keys above 2^53": UserModel(LARGE_KEYS, text_ids=True),
    "UUID keys": UserModel(UUID_KEYS, text_ids=True),
    "proxy": UserModel(
        PROXY, deactivate="base = Base.objects.get(pk=user.pk); base.is_active = False; base.save()"
    ),
    "proxies and children beside it": UserModel(
        BESIDE,
        deactivate=(
            "boss = Employee(account=user); boss.__dict__.update({**user.__dict__, '_state': boss._state});"
            " boss.save(); boss.is_active = False; boss.save()"
        ),
        restore="member = Member.objects.get(pk=user.pk); member.is_active = True; member.save()",
    ),
    "computed is_active": UserModel(
        COMPUTED,
        deactivate="user.closed_at = timezone.now(); user.save()",
        restore="user.closed_at = None; user.save()",
    ),
}
