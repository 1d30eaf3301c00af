"""A Debian in a folder, for tests with Debian's Python: made by debootstrap, entered by chroot. Needs root."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from tools import debian

PACKAGES = "python3,ca-certificates,git,libatomic1"


class DebianRoot:
    def __init__(self, folder: Path, release: str) -> None:
        self.folder = folder.resolve()
        self.release = release
        self.work = self.folder / "work"

    def make(self) -> None:
        """Make the root, unless it is there. A half-made one has no `work`."""
        if self.work.is_dir():
            return
        if shutil.which("debootstrap") is None and (failure := debian.install("debootstrap")):
            raise SystemExit(failure)
        command = [
            "debootstrap",
            "--variant=minbase",
            f"--include={PACKAGES}",
            self.release,
            str(self.folder),
        ]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}:\n{done.stdout[-2000:]}")
        self.work.mkdir()

    @contextlib.contextmanager
    def mounted(self, tree: Path) -> Iterator[Path]:
        """Mount /proc, /dev and the working tree. Yields the tree's folder within the root."""
        inside = self.folder / "src"
        mounts = {Path("/proc"): self.folder / "proc", Path("/dev"): self.folder / "dev", tree: inside}
        with contextlib.ExitStack() as stack:
            for source, target in mounts.items():
                target.mkdir(exist_ok=True)
                if not target.is_mount():
                    subprocess.run(["mount", "--bind", source, target], check=True)
                    stack.callback(subprocess.call, ["umount", "--lazy", str(target)])
            yield Path("/src")

    def command(self, words: Sequence[str], tree: Path) -> list[str]:
        """Return the command that runs this one in the root, in the tree's folder."""
        return [
            shutil.which("chroot") or "chroot",
            str(self.folder),
            "/bin/sh",
            "-c",
            f'cd {tree} && exec "$@"',
            "sh",
            *words,
        ]

    def environment(self, changes: dict[str, str]) -> dict[str, str]:
        """Return an environment without the machine's own paths."""
        kept = {name: os.environ[name] for name in ("LANG", "TERM") if name in os.environ}
        return {**kept, "HOME": "/root", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **changes}
