"""The reverse proxy as it is shipped, deploy/Caddyfile, in front of servers under test."""

import contextlib
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from tests.live.servers import ROOT, Server, free_port
from tools import proxies

START_SECONDS = 30.0


class Proxy:
    """A Caddy on a free port, over plain HTTP: nothing but the address differs from the shipped file."""

    def __init__(self, servers: Sequence[Server], folder: Path) -> None:
        self.port, self._folder = free_port(), folder
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "XDG_DATA_HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder),
            "CADDY_ADMIN": f"127.0.0.1:{free_port()}",
            "SITE_ADDRESS": f":{self.port}",
            "UPSTREAMS": " ".join(server.address for server in servers),
        }
        with (folder / f"caddy-{self.port}.log").open("wb") as log:
            self._process = subprocess.Popen(
                proxies.command("caddy", ROOT / "deploy" / "Caddyfile"),
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait(self) -> "Proxy":
        """Returns when it passes requests on."""
        deadline = time.monotonic() + START_SECONDS
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        while self._process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(urllib.error.URLError, OSError):
                opener.open(f"http://127.0.0.1:{self.port}/api/v1/session", timeout=5).close()
                return self
            time.sleep(0.1)
        self.close()
        raise AssertionError(f"the proxy at port {self.port} passes no request on: see {self._folder}")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
