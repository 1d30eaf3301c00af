"""The settings DOORBELL_* of a project that installs Doorbell: one row each, all optional.

`conf.users` and the like are read at each access, so that tests may override settings. docs/configuration.md is
generated from it; setting_checks.py finds wrong values and unknown names.
"""

from .project_setting_types import DottedPath, Renames
from .setting_types import DjangoSettings, Integer, Switch


class Conf(DjangoSettings):
    PREFIX = "DOORBELL_"

    users = Switch(False, "Whether the API has a directory of users: `GET users`.")
    messages = Switch(False, "Whether users can send each other messages over HTTP: `POST messages`.")
    session = Switch(False, "Whether users can sign in with a password over HTTP: `POST session`.")
    authenticate = DottedPath(
        "Who makes a request: `(request) -> user or None`. Called for every call of the API.",
        default_text="an API token or Django's session",
    )
    may_see = DottedPath(
        "Which contacts may see each other's presence: `(pairs) -> pairs`, of a viewer's id and the id of the one "
        "who is seen. Called for many pairs at once, whenever presence is read or pushed.",
        default_text="all contacts",
    )
    may_write = DottedPath(
        "To whom a user may write over HTTP, and whom the directory lists: `(sender, users) -> users`, two querysets.",
        default_text="everyone",
    )
    name = DottedPath(
        "What people see and search as a user's name: a class as in install.md, or `(user) -> str`.",
        default_text="the username; where that is an e-mail address, the full name or `user <id>`",
    )
    language_of = DottedPath(
        "In which language users are notified: `(user ids) -> {user id: language}`. Called for many at once.",
        default_text="their profile's language, else LANGUAGE_CODE",
    )
    data_bytes = Integer(
        4096,
        "How large a notification's `data` may be, as JSON in UTF-8.",
        minimum=2,
        maximum=65_536,
        unit="bytes",
    )
    reverse_names = Renames(
        "Other names for the attributes that Doorbell's models give to users, by the default name; None: no name; "
        "`False`: none of them.",
        names=(
            "profile",
            "inbox",
            "notifications",
            "sent_messages",
            "received_messages",
            "api_tokens",
            "connections",
        ),
        default_text="none renamed",
    )


conf = Conf()
