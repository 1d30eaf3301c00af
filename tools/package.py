"""Builds wheel and sdist into dist/, and checks what is in them: `make package`.

`--install` also installs the wheel into empty environments, by way of the package index, and lists what each extra
brings. Files are taken from the working tree: a build in place would find the leftovers of the last one.
"""

import argparse
import importlib.util
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
APPS = ("messaging", "realtime")
# All that is in static/ but the demo.
STATIC = sorted(
    folder.name for folder in (ROOT / "static").iterdir() if folder.is_dir() and folder.name != "demo"
)
TEXTS = ("CHANGELOG.md", "LICENSE", "MANIFEST.in", "README.md", "pyproject.toml")
MOST_PACKAGES = 12
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.package", description=__doc__)
    parser.add_argument("--to", type=Path, default=ROOT / "dist", metavar="FOLDER", help="default: dist/")
    parser.add_argument(
        "--install", action="store_true", help="install the wheel without and with its extras, too"
    )
    options = parser.parse_args(arguments)
    wheel, sdist = build(options.to)
    subprocess.run([sys.executable, "-m", "twine", "check", "--strict", wheel, sdist], check=True)
    wrong = [*faults(wheel, sdist)]
    print(*wrong, f"{len(wrong)} faults in {wheel.name} and {sdist.name}", sep="\n")
    if options.install and not wrong:
        extras = [*PROJECT["optional-dependencies"]]
        for chosen in ([], *([extra] for extra in extras), extras):
            listed = installed(wheel, chosen)
            print(f"{len(listed):3} packages with {', '.join(chosen) or 'no extra'}: {' '.join(listed)}")
            if not chosen and len(listed) > MOST_PACKAGES:
                wrong.append(f"more than {MOST_PACKAGES} packages without extras")
    return 1 if wrong else 0


def build(folder: Path) -> tuple[Path, Path]:
    """Return wheel and sdist, made with the build tools of this environment."""
    with tempfile.TemporaryDirectory() as temporary:
        tree, made = Path(temporary, "tree"), Path(temporary, "made")
        tree.mkdir()
        for name in TEXTS:
            shutil.copy(ROOT / name, tree)
        for name in (*APPS, "static"):
            shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(made), str(tree)]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise SystemExit(done.stdout)
        folder.mkdir(parents=True, exist_ok=True)
        [wheel], [sdist] = made.glob("*.whl"), made.glob("*.tar.gz")
        return Path(shutil.copy(wheel, folder)), Path(shutil.copy(sdist, folder))


def faults(wheel: Path, sdist: Path) -> Iterator[str]:
    """Compare what is in them with the working tree, in both directions."""
    with zipfile.ZipFile(wheel) as file:
        in_wheel = {name for name in file.namelist() if ".dist-info/" not in name}
        [licence] = [name for name in file.namelist() if name.endswith("/licenses/LICENSE")] or [""]
    if not licence:
        yield "wheel: no LICENSE"
    expected = {str(path.relative_to(ROOT)): path for path in _sources()}
    packaged = {
        name.replace("static/", "realtime/static/", 1) if name.startswith("static/") else name
        for name in expected
    }
    yield from (f"wheel: {name} is missing" for name in sorted(packaged - in_wheel))
    yield from (f"wheel: {name} doesn't belong there" for name in sorted(in_wheel - packaged))
    with tarfile.open(sdist) as archive:
        in_sdist = {member.name.split("/", 1)[1] for member in archive if member.isfile()}
    ours = {name for name in in_sdist if ".egg-info/" not in name} - {"PKG-INFO", "setup.cfg"}
    yield from (f"sdist: {name} is missing" for name in sorted({*expected, *TEXTS} - ours))
    yield from (f"sdist: {name} doesn't belong there" for name in sorted(ours - {*expected, *TEXTS}))


def _sources() -> Iterator[Path]:
    """Every file of the two apps and of the client, tests and demo excepted."""
    folders = [ROOT / app for app in APPS] + [ROOT / "static" / name for name in STATIC]
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file() and not {"tests", "__pycache__"} & {*path.relative_to(ROOT).parts}:
                yield path


def installed(wheel: Path, extras: Sequence[str]) -> list[str]:
    """Install the wheel into an empty environment, by way of the package index. Returns packages with versions."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        python = str(Path(folder, "bin", "python"))
        pip = (
            [sys.executable, "-m", "uv", "--quiet", "pip", "{}", "--python", python]
            if importlib.util.find_spec("uv")
            else [sys.executable, "-m", "pip", "--quiet", "--python", python, "{}"]
        )
        wanted = f"{wheel}[{','.join(extras)}]" if extras else str(wheel)
        subprocess.run([word.format("install") for word in pip] + [wanted], check=True)
        listing = [word.format("list") for word in pip] + ["--format=json"]
        done = subprocess.run(listing, check=True, stdout=subprocess.PIPE)
        return [f"{package['name']} {package['version']}" for package in json.loads(done.stdout)]


if __name__ == "__main__":
    sys.exit(main())
