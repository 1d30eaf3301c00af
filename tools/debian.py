"""Installs Debian packages, if we are root on Debian: what neither Python's nor node's registry has."""

import os
import platform
import shutil
import subprocess


def can_install() -> bool:
    """Whether this is Debian itself and we are root. (Ubuntu's chromium package, for one, only installs a snap.)"""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return False
    return release.get("ID") == "debian" and os.geteuid() == 0 and shutil.which("apt-get") is not None


def install(*packages: str) -> str:
    """Install these packages. Returns "", or what apt-get said last when it failed."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    said = b""
    for one in (command, ["apt-get", "update"], command):
        done = subprocess.run(one, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode == 0 and one is command:
            return ""
        said = done.stdout
    return said.decode(errors="replace")[-1000:]
