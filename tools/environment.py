"""Builds the Python environment that ``make`` runs superd and its tests in, and keeps it up to date.

    python3 tools/environment.py FOLDER [EXTRA]

Dependencies come as wheels, so no compiler is needed. superd itself is installed as a wheel too, never linked
to the checkout: the acceptor runs as a user who may not be able to read the checkout (a clone under /root).
Nothing is written to the checkout. What was done is remembered by content, not by time: a second run without
changes costs a few milliseconds.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
OLDEST_PYTHON = (3, 11)
STRANGER = 61184
"""An unused uid, the first that superd takes for its acceptor where there is no user ``superd``."""

APT = "apt-get install -y --no-install-recommends"


def main(arguments: list[str]) -> None:
    folder = Path(arguments[0]).absolute()
    extras = arguments[1:]
    os.umask(0o022)  # root's environment is read by other users
    check_tools(extras)
    folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        check_readable(folder)
    with open(f"{folder}.lock", "w") as lock:  # beside it: venv --clear empties the folder
        fcntl.flock(lock, fcntl.LOCK_EX)
        bring_up_to_date(folder, extras)


def check_tools(extras: list[str]) -> None:
    """End with the one line that mends it when a program that Debian packages is missing."""
    if sys.version_info < OLDEST_PYTHON:
        sys.exit(
            f"superd needs Python 3.11 or newer and {sys.executable} is {sys.version.split()[0]}; "
            "name another: make PYTHON=/usr/bin/python3.11"
        )
    missing = [] if importlib.util.find_spec("ensurepip") else ["python3-venv"]
    if extras:  # the tests look at the checkout with git, and run make
        missing += [name for name in ("git", "make") if shutil.which(name) is None]
    if missing:
        sudo = "" if os.geteuid() == 0 else "sudo "
        sys.exit(f"superd: {' and '.join(missing)} missing; install with: {sudo}{APT} {' '.join(missing)}")


def check_readable(folder: Path) -> None:
    """End unless a user without any privilege can run this Python and enter the folder."""
    probe = [sys.executable, "-I", "-S", "-c", "import os, sys; os.stat(sys.argv[1])", f"{folder}/."]
    try:
        subprocess.run(
            probe,
            user=STRANGER,
            group=STRANGER,
            extra_groups=(),
            cwd="/",
            check=True,
            stderr=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError) as error:
        sys.exit(
            f"superd: a user without privileges cannot reach {sys.executable} or {folder} ({error}); "
            "choose others: make PYTHON=/usr/bin/python3 VENV=/var/cache/superd/venv"
        )


def bring_up_to_date(folder: Path, extras: list[str]) -> None:
    """Do what has changed since last time: the environment with its packages, or superd alone."""
    wanted = requirements(read_project(), extras)
    marks = {
        "packages": digest([sys.version, sys.executable, str(folder), *wanted]),
        "superd": digest_of_sources(),
    }
    stamp = folder / ".made-of"
    made_of = json.loads(stamp.read_text()) if stamp.exists() else {}
    if made_of == marks:
        return
    stamp.unlink(missing_ok=True)
    python = folder / "bin" / "python"
    if made_of.get("packages") != marks["packages"]:
        print(f"superd: building the Python environment in {folder} (this once)", flush=True)
        run(sys.executable, "-m", "venv", "--clear", folder)
        run(python, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", *wanted)
    install_superd(python)
    stamp.write_text(json.dumps(marks))


def read_project() -> dict[str, Any]:
    import tomllib  # only here: an older Python must get as far as check_tools

    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def requirements(project: dict[str, Any], extras: list[str]) -> list[str]:
    """What to ask pip for: superd's dependencies, what builds its wheel, and the extras."""
    optional = project["project"]["optional-dependencies"]
    wanted = project["project"]["dependencies"] + project["build-system"]["requires"]
    return [*wanted, *(one for extra in extras for one in optional[extra])]


def digest(parts: list[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def digest_of_sources() -> str:
    """Names and contents of everything that goes into the wheel."""
    sources = [
        path
        for path in sorted(ROOT.glob("superd/**/*"))
        if path.is_file() and "__pycache__" not in path.parts
    ]
    parts = [ROOT / "pyproject.toml", ROOT / "README.md", *sources]
    return digest([f"{path}:{hashlib.sha256(path.read_bytes()).hexdigest()}" for path in parts])


def install_superd(python: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="superd-wheel-") as folder:
        run(python, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--force-reinstall",
            build_wheel(python, Path(folder)))  # fmt: skip


def build_wheel(python: Path, folder: Path) -> Path:
    """Build superd's wheel into a folder, with an environment that holds the build backend."""
    run(python, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder)
    (wheel,) = folder.glob("*.whl")
    return wheel


def run(*command: str | Path) -> None:
    """Run a command in the checkout; its output is shown only when it fails, and then everything ends."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        sys.exit(f"superd: this failed:\n$ {' '.join(map(str, command))}\n{done.stdout}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:  # the next run begins it anew
        sys.exit(128 + signal.SIGINT)
