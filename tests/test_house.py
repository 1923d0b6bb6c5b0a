"""The rules of the house: linters, layers, sizes and words, held by tests rather than by memory."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "superd"

LAYERS = (
    ("errors", "units", "bind"),
    (
        "config",
        "policy",
        "wire.messages",
        "wire.datagrams",
        "wire.grants",
        "wire.policies",
        "wire.table",
        "wire.codec",
        "wire.handlers",
        "wire.peers",
    ),
    ("kernel", "log", "wire.fds", "handler"),
    ("master", "acceptor", "spawner", "broker", "supervise"),
    ("cli", "testing", "__main__"),
)
"""Imports point to the left only; within a layer they are free but for the roles."""

ROLES = LAYERS[3]

ROOT_PARTS = (
    "config",
    "policy",
    "kernel",
    "wire",
    "master",
    "spawner",
    "broker",
    "handler",
    "units",
    "log",
    "errors",
)
"""What root processes load: the standard library and attrs, nothing else."""

OF_ASYNC_HANDLERS = "handler.concurrent"
"""Loaded by the process that calls a handler which is ``async def``, as the service's user: it may load trio."""

LEAN = (
    "superd.handler.caller",
    {"superd.handler.concurrent", "superd.handler.foreground", "attr", "typing", "re"},
)
"""What is forked for every connection of a handler, and what it must not have loaded: it would be copied each time."""

MAX_LINES = 400


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def must_pass(*command: str) -> None:
    done = run(*command)
    assert done.returncode == 0, done.stdout + done.stderr


def files_of_the_project() -> list[Path]:
    """Every file that is or would be committed; without git, as in a source archive, every file there is."""
    listed = run(
        "git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"
    )
    if listed.returncode == 0:
        paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:
        paths = [path for path in ROOT.rglob("*") if not {".venv", "__pycache__"} & set(path.parts)]
    return sorted(path for path in paths if path.is_file())


def modules() -> Iterator[tuple[str, Path]]:
    """Every module of superd: its dotted name below ``superd``, and its file."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name:
            yield name, path


def imported(name: str, path: Path) -> Iterator[str]:
    """The absolute dotted name of everything a module imports, however deep in its functions."""
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ["superd", *package][: len(package) + 2 - node.level] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{source}.{alias.name}" for alias in node.names)


def is_within(name: str, part: str) -> bool:
    return name == part or name.startswith(f"{part}.")


def place(name: str) -> tuple[int, str]:
    """The layer of a module, and the part of that layer it belongs to."""
    for layer, parts in enumerate(LAYERS):
        for part in parts:
            if is_within(name, part):
                return layer, part
    pytest.fail(f"superd.{name} is in no layer of LAYERS")


def test_ruff_finds_nothing() -> None:
    must_pass(sys.executable, "-m", "ruff", "check", ".")


def test_the_format_is_ruffs() -> None:
    must_pass(sys.executable, "-m", "ruff", "format", "--check", ".")


def test_mypy_finds_nothing() -> None:
    must_pass(sys.executable, "-m", "mypy", "--strict", "superd", "tests", "bench", "tools")


@pytest.mark.parametrize(("name", "path"), list(modules()))
def test_imports_point_one_way(name: str, path: Path) -> None:
    if name == "wire":
        assert not list(imported(name, path))
        return
    layer, part = place(name)
    for target in imported(name, path):
        if not target.startswith("superd."):
            continue
        inner = target.removeprefix("superd.")
        if inner == "__version__":
            continue
        other_layer, other_part = place(inner)
        assert other_layer <= layer, f"superd.{name} imports {target}"
        if part in ROLES and other_part in ROLES:
            assert part == other_part, f"superd.{name} imports {target}"


@pytest.mark.parametrize(
    ("name", "path"),
    [one for one in modules() if one[0].split(".")[0] in ROOT_PARTS and one[0] != OF_ASYNC_HANDLERS],
)
def test_root_code_names_no_third_party_package_but_attrs(name: str, path: Path) -> None:
    roots = {target.split(".")[0] for target in imported(name, path)}
    assert roots <= sys.stdlib_module_names | {"superd", "attrs"}


@pytest.mark.parametrize("role", ["master", "spawner", "broker"])
def test_root_processes_load_no_third_party_package_but_attrs(role: str) -> None:
    names = [f"superd.{name}" for name, _ in modules() if is_within(name, role)]
    program = (
        "import importlib, sys\n"
        "before = set(sys.modules)\n"  # an environment may load some itself, by .pth files
        f"for name in {names!r}: importlib.import_module(name)\n"
        "print(*{name.split('.')[0] for name in set(sys.modules) - before})"
    )
    done = run(sys.executable, "-c", program)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) - sys.stdlib_module_names <= {"superd", "attr", "attrs"}


def test_the_process_that_calls_handlers_is_small() -> None:
    module, unwanted = LEAN
    program = f"import sys; sys.path[:] = {sys.path!r}; import {module}; print(*sys.modules)"
    done = run(sys.executable, "-I", "-S", "-c", program)
    assert done.returncode == 0, done.stderr
    assert unwanted.isdisjoint(done.stdout.split())


def test_every_file_can_be_read_in_one_sitting() -> None:
    sources = [path for path in files_of_the_project() if path.suffix == ".py"]
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in sources}
    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}


PAGES = sorted(ROOT.glob("man/*.[1-8]"))


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_man_pages_are_clean(page: Path) -> None:
    if shutil.which("mandoc") is None:
        if os.environ.get("SUPERD_REQUIRE_LIVE"):
            pytest.fail("mandoc is missing")
        pytest.skip("mandoc is missing: apt-get install mandoc")
    must_pass("mandoc", "-Tlint", "-W", "warning", str(page))


FOREIGN = (
    "/" + "work/",
    "/opt/" + "superd-dev",
    "/" + "home/",
    r"pypi\." + "org",
    "python" + "hosted",
    r"crates\." + "io",
    r"npmjs\." + "com",
    "TO" + "DO",
    "FIX" + "ME",
)
"""Paths of one person's machine, hosts that packages come from, and work left undone."""


@pytest.mark.parametrize("word", FOREIGN)
def test_texts_speak_of_superd_alone(word: str) -> None:
    pattern = re.compile(rf"(?<![\w.]){word}")
    found = [path for path in files_of_the_project() if pattern.search(path.read_text(errors="replace"))]
    assert [str(path.relative_to(ROOT)) for path in found] == []
