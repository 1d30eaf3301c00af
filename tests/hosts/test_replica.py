"""A router that reads from a replica. The replica is a copied file of SQLite's, so there is none on PostgreSQL."""

from collections.abc import Callable

from tests.hosts.project import HostProject
from tests.hosts.visitor import QUICK, Visitor, serving

REPLICA = """
class Replica:
    def db_for_read(self, model, **hints): return "replica"
    def db_for_write(self, model, **hints): return "default"
    def allow_relation(self, one, other, **hints): return True
    def allow_migrate(self, db, app_label, **hints): return db == "default"
"""


def test_reads_by_a_router_from_a_replica_are_refused_and_ours_can_be_kept_out(
    host: Callable[..., HostProject],
) -> None:
    """The replica is empty, as one is that is behind by more than the project's age."""
    routed = """
DATABASES["replica"] = {**DATABASES["default"], "NAME": BASE_DIR / "replica.sqlite3"}
DATABASE_ROUTERS = ["mysite.routers.Replica"]
"""
    project = host(QUICK + routed, {"mysite/routers.py": REPLICA})
    refused = project.manage("check", check=False)
    assert "messaging.E004" in refused.stderr
    assert "messaging.routers.DefaultDatabase" in refused.stderr
    project.write(
        "mysite/settings.py", "DATABASE_ROUTERS.insert(0, 'messaging.routers.DefaultDatabase')", append=True
    )
    with serving(project) as server:
        project.manage("notify", "ada", "It rings")
        visitor = Visitor(server)
        visitor.sign_in()
        rows = visitor.call("GET", "/api/v1/notifications")[1]["items"]
        marked = visitor.call("POST", "/api/v1/notifications/read", {"ids": [row["id"] for row in rows]})[1]
        assert (marked["unread_count"], len(marked["ids"])) == (0, 1)
        ticket = visitor.call("POST", "/api/v1/ticket", {})[1]["ticket"]
        assert visitor.hello("http://localhost", ticket=ticket)["unread_count"] == 0
