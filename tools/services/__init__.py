"""Real PostgreSQL and real Redis for tests: started in a temporary folder, gone afterwards.

As a library (`with postgres() as url:`, `with redis() as server:`) and as a command:
`python -m tools.services --pg --redis -- pytest` runs COMMAND with DATABASE_URL and REDIS_URL set.
Nothing outside the temporary folder is created, changed or chmodded.
"""

from .postgresql import PostgresServer, find_postgres, postgres
from .redis import RedisServer, find_redis, redis
from .server import ServiceError

__all__ = [
    "PostgresServer",
    "RedisServer",
    "ServiceError",
    "find_postgres",
    "find_redis",
    "postgres",
    "redis",
]
