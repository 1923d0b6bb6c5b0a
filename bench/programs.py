"""What the benchmark needs beside superd: its own C programs, compiled, and Debian's super-servers, unpacked."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from attrs import fields, frozen

SOURCES = Path(__file__).resolve().parent / "c"
CFLAGS = ("-std=gnu17", "-O2", "-Wall", "-Wextra", "-Werror", "-pthread")
STATIC = frozenset({"echo_once", "wake_once"})
"""Programs without a dynamic linker: those that are services."""


class MissingError(Exception):
    """Something the benchmark needs is missing; the text says what to do."""


@frozen
class Programs:
    """The compiled programs of ``bench/c``."""

    echo_once: Path
    accept_echo: Path
    accept_close: Path
    bind_cost: Path
    bare: Path
    load: Path
    stream: Path
    wake_once: Path


@frozen
class Packages:
    """Debian's super-servers, unpacked and never installed: they conflict with one another.

    Args:
        root: holds one folder a package, which stands for ``/``.
        versions: package name to version, for the record.
        missing: package name to the reason why it is not there.
    """

    root: Path
    versions: dict[str, str]
    missing: dict[str, str]

    @property
    def library_path(self) -> str:
        """LD_LIBRARY_PATH for the unpacked programs, every folder of theirs that holds a library."""
        return ":".join(sorted({str(library.parent) for library in self.root.glob("**/lib*.so.*")}))


def compile_programs(directory: Path) -> Programs:
    """Compiles ``bench/c`` into a new folder, whose parents must be open to user nobody.

    Raises:
        MissingError: gcc is missing, or does not like a source.
    """
    if shutil.which("gcc") is None:
        raise MissingError("gcc is missing; run: apt-get install gcc libc6-dev")
    directory.mkdir(mode=0o755)
    paths = {name: directory / name for name in [field.name for field in fields(Programs)]}
    for name, path in paths.items():
        static = ("-static",) if name in STATIC else ()
        _run("gcc", *CFLAGS, *static, "-o", str(path), str(SOURCES / f"{name}.c"))
    return Programs(**paths)


def cache_directory() -> Path:
    """Where the packages are kept between runs (XDG Base Directory Specification: XDG_CACHE_HOME)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "superd-bench"


def unpack_packages(cache: Path, wanted: Iterable[str]) -> Packages:
    """Downloads and unpacks what the cache lacks. A package that cannot be had is reported, not fatal."""
    versions: dict[str, str] = {}
    missing: dict[str, str] = {}
    for package in wanted:
        try:
            versions[package] = _unpacked(package, cache)
        except MissingError as error:
            missing[package] = str(error)
    return Packages(cache, versions, missing)


def _unpacked(package: str, cache: Path) -> str:
    """Makes ``cache/package`` hold the package and its libraries; returns its version.

    The folder gets its name last, so an interrupted download is never taken for a whole one.
    """
    target = cache / package
    if not target.exists():
        if shutil.which("apt-get") is None:
            raise MissingError("no apt-get here")
        unfinished = cache / f"{package}.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        # apt's own user could not write to a folder of root's
        options = ("-q", "-o", "APT::Sandbox::User=root")
        _run("apt-get", *options, "download", package, *_libraries(package), cwd=unfinished)
        for archive in sorted(unfinished.glob("*.deb")):
            _run("dpkg-deb", "-x", str(archive), str(unfinished))
        unfinished.rename(target)
    archive = next(target.glob(f"{package}_*.deb"))
    return _run("dpkg-deb", "-f", str(archive), "Version").strip()


def _libraries(package: str) -> list[str]:
    """The libraries that a package depends on, directly or not, and that are not installed here."""
    status = _run("dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n").splitlines()
    known = {line.split()[0] for line in status if line.endswith(" installed")}
    found: list[str] = []
    unread = [package]
    while unread:
        for line in _run("apt-cache", "depends", unread.pop()).splitlines():
            kind, _, name = line.strip(" |").partition(": ")
            if kind in ("Depends", "PreDepends") and name.startswith("lib") and name not in known:
                known.add(name)
                found.append(name)
                unread.append(name)
    return found


def _run(*argv: str, cwd: Path | None = None) -> str:
    """Runs a command to its end; returns what it wrote.

    Raises:
        MissingError: it failed; with the last line of its complaint.
    """
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        complaint = done.stderr.strip().splitlines() or [f"exit {done.returncode}"]
        hint = "; try: apt-get update" if argv[0].startswith("apt") else ""
        raise MissingError(f"{' '.join(argv[:2])} …: {complaint[-1]}{hint}")
    return done.stdout
