"""The key ``handler``: how it is written, what goes with it, and where its code is looked for."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from superd.config.load import load as load_file
from superd.config.model import Config, Handler
from superd.handler.places import locate, search_path, version

from .conftest import Faults, Write

Load = Callable[[str], Config]

_SERVICE = '[services.x]\nlisten = ["tcp://*:79"]\n'


@pytest.fixture
def load(write: Write) -> Load:
    return lambda text: load_file(write("superd.toml", text))


@pytest.mark.parametrize(
    ("text", "source", "function"),
    [
        ("app:serve", "app", "serve"),
        ("app.main:Server.handle", "app.main", "Server.handle"),
        ("/srv/app.py:serve", "/srv/app.py", "serve"),
        ("/srv/a:b.py:serve", "/srv/a:b.py", "serve"),
    ],
)
def test_a_module_or_a_file_and_a_name_in_it(load: Load, text: str, source: str, function: str) -> None:
    service = load(f'{_SERVICE}handler = "{text}"\n').services["x"]
    assert service.handler == Handler(source, function) and service.handler.text == text
    assert service.has_children and not service.has_instance and not service.is_served_here


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ('"app"', "names no function"),
        ('"app:"', "names no function"),
        ('"app:no-name"', "names no function"),
        ('":serve"', "not a module's name"),
        ('"my-app:serve"', "not a module's name"),
        ('"app.py/x:serve"', "not a file of Python's"),
        ('"/srv/app:serve"', "not a file of Python's"),
        ('"srv/app.py:serve"', "not an absolute path"),
        ('["app", "serve"]', "not a string"),
    ],
)
def test_what_is_no_handler_is_a_fault(faults: Faults, value: str, problem: str) -> None:
    (fault,) = faults(f"{_SERVICE}handler = {value}\n")
    assert fault.startswith(f"services.x.handler = {value.replace(', ', ', ')}: {problem}; write ")


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ('exec = ["/bin/cat"]', 'handler = "app:serve": exec says already what serves it; remove one of them'),
        ('builtin = "echo"', 'builtin = "echo": handler says already what serves it; remove one of them'),
        ('forward = "tcp://127.0.0.1:80"', 'forward = "tcp://127.0.0.1:80": handler says already what serves it; '
         "remove one of them"),
        ('mode = "wait"', 'mode = "wait": only for exec; remove it'),
        ('exec_path = "/bin/cat"', 'exec_path = "/bin/cat": only for exec; remove it'),
    ],
)  # fmt: skip
def test_it_says_alone_what_serves_and_serves_connections_alone(
    faults: Faults, more: str, fault: str
) -> None:
    assert faults(f'{_SERVICE}handler = "app:serve"\n{more}\n') == [f"services.x.{fault}"]


def test_what_goes_with_a_program_goes_with_a_handler(load: Load) -> None:
    keys = 'user = "nobody"\nnice = 5\nlimit_nofile = 64\nstandard_error = "null"\numask = "077"'
    service = load(f'{_SERVICE}handler = "app:serve"\n{keys}\n').services["x"]
    assert (service.user, service.nice, service.umask) == ("nobody", 5, 0o077)


def test_datagrams_of_unnamed_peers_are_refused(faults: Faults) -> None:
    (fault,) = faults('[services.x]\nlisten = ["unix-dgram:///run/x"]\nhandler = "app:serve"\n')
    assert "datagrams of unnamed peers cannot be told apart" in fault


# --- where it is ---


@pytest.fixture
def package(tmp_path: Path) -> Path:
    for name in ("app/__init__.py", "app/inner/serve.py", "app/other.py", "beside.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("raise AssertionError('nobody runs this')\n")
    return tmp_path


def test_its_file_is_found_and_nothing_of_it_is_run(package: Path) -> None:
    folders = search_path(f"{package}:relative/is/left/out")
    assert folders[0] == str(package) and "relative/is/left/out" not in folders
    assert locate(Handler("app", "f"), folders) == f"{package}/app/__init__.py"
    assert locate(Handler("app.inner.serve", "f"), folders) == f"{package}/app/inner/serve.py"
    assert locate(Handler("app.none", "f"), folders) == ""
    assert locate(Handler(f"{package}/beside.py", "f"), folders) == f"{package}/beside.py"
    assert locate(Handler(f"{package}/none.py", "f"), folders) == ""
    assert not {"app", "app.inner", "beside"} & sys.modules.keys()


def test_inside_a_root_directory(package: Path) -> None:
    assert locate(Handler("app.other", "f"), ["/"], str(package)) == f"{package}/app/other.py"
    assert locate(Handler("/beside.py", "f"), [], str(package)) == f"{package}/beside.py"


@pytest.mark.parametrize(
    ("source", "changed", "notices"),
    [
        ("app.inner.serve", "app/other.py", True),
        ("app.inner.serve", "app/inner/serve.py", True),
        ("app.inner.serve", "beside.py", False),
        ("app", "app/other.py", True),
        ("beside", "beside.py", True),
        ("beside", "app/other.py", False),
        ("{folder}/beside.py", "beside.py", True),
        ("{folder}/app/other.py", "app/__init__.py", True),
        ("{folder}/beside.py", "app/other.py", False),
    ],
)
def test_its_version_is_that_of_its_package_or_folder(
    package: Path, source: str, changed: str, notices: bool
) -> None:
    handler = Handler(source.replace("{folder}", str(package)), "f")
    path = locate(handler, [str(package)])
    before = version(handler, path)
    assert version(handler, path) == before
    (package / changed).write_text("another\n")
    assert (version(handler, path) != before) == notices


def test_a_file_that_is_new_or_gone_changes_the_version(package: Path) -> None:
    handler = Handler("app", "f")
    path = locate(handler, [str(package)])
    versions = [version(handler, path)]
    (package / "app/new.py").write_text("")
    versions.append(version(handler, path))
    (package / "app/other.py").unlink()
    versions.append(version(handler, path))
    assert len(set(versions)) == 3
