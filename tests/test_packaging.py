"""What somebody finds who has just cloned superd: make's targets, the examples, the installed files."""

from __future__ import annotations

import importlib.util
import os
import pty
import shutil
import stat
import subprocess
import sys
import sysconfig
import tomllib
from io import FileIO
from pathlib import Path

import pytest

from superd import __version__
from superd.config.files import read_trusted
from superd.config.load import load

ROOT = Path(__file__).resolve().parent.parent
DROP_INS = sorted(path for path in ROOT.glob("etc/examples/*.toml") if path.name != "unprivileged.toml")


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make as from a fresh shell: nothing of a make that may be running these tests."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "PYTHON"))
    }
    return subprocess.run(
        ["make", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def test_make_alone_lists_what_there_is() -> None:
    done = make()
    assert done.returncode == 0, done.stderr
    for target in ("run", "test", "bench", "setup", "install", "clean"):
        assert f"make {target} " in done.stdout


def test_make_run_copies_a_configuration_that_others_may_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = importlib.util.spec_from_file_location("foreground", ROOT / "tools/foreground.py")
    assert spec is not None and spec.loader is not None
    foreground = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(foreground)
    checkout, runtime = tmp_path / "checkout", tmp_path / "runtime"
    checkout.mkdir()
    runtime.mkdir()
    source = checkout / "superd.toml"
    source.write_text("# try: something\n")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    monkeypatch.setattr(
        os, "geteuid", lambda: os.stat(tmp_path).st_uid or 4242
    )  # whoever owns it, but not root
    for path in (source, checkout):
        assert foreground.trusted(source) == source
        path.chmod(0o777)  # as a umask of 000 leaves it
        copy = foreground.trusted(source)
        assert copy == runtime / "superd/superd.toml"
        assert read_trusted(str(copy)) == source.read_text()
        path.chmod(0o755)


def test_make_run_names_a_file_that_is_not_there() -> None:
    done = subprocess.run(
        [sys.executable, "tools/foreground.py", "none.toml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, f"no such file: {ROOT}/none.toml\n")


def test_an_old_python_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.version_info = (3, 10)\n")
    done = build_environment(tmp_path / "venv", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith("superd needs Python 3.11 or newer")
    assert "make PYTHON=" in done.stderr


def test_a_missing_python_is_named_with_the_line_that_installs_it() -> None:
    done = make("run", "PYTHON=/usr/bin/python-that-is-not-there")
    assert done.returncode != 0
    assert done.stderr.startswith(
        "superd: no /usr/bin/python-that-is-not-there; install it as root with: apt-get install"
    )


def test_a_missing_venv_is_named_with_the_line_that_installs_it(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as util; find = util.find_spec\n"
        "util.find_spec = lambda name, *more: None if name == 'ensurepip' else find(name, *more)\n"
    )
    done = build_environment(tmp_path / "venv", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert "apt-get install -y --no-install-recommends python3-venv\n" in done.stderr


def test_missing_git_and_make_are_named_with_the_line_that_installs_them(tmp_path: Path) -> None:
    done = build_environment(tmp_path / "venv", "dev", PATH=str(tmp_path))
    assert done.returncode == 1
    assert "git and make missing" in done.stderr
    assert "apt-get install -y --no-install-recommends git make\n" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: only its environment is used by other users")
def test_a_place_that_other_users_cannot_read_is_turned_down(tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir(mode=0o700)
    done = build_environment(hidden / "venv")
    assert done.returncode == 1
    assert str(hidden) in done.stderr
    assert "VENV=" in done.stderr


def build_environment(folder: Path, *extras: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        [sys.executable, "-B", str(ROOT / "tools/environment.py"), str(folder), *extras],
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


INTERRUPTED = """\
import os, signal, sys
def end(*_):
    print("ended", flush=True)
    sys.exit(0)
while os.tcgetpgrp(0) != os.getpgrp():
    os.sched_yield()
print("begun", flush=True)
while sys.argv[1:] == ["late"] and signal.SIGINT not in signal.sigpending():
    os.sched_yield()
signal.signal(signal.SIGINT, end)
signal.signal(signal.SIGHUP, lambda *_: None)
signal.pthread_sigmask(signal.SIG_SETMASK, ())
print("ready", flush=True)
while True:
    signal.pause()
"""


def test_ctrl_c_ends_make_run_without_an_error(tmp_path: Path) -> None:
    """make dies of a SIGINT of its own whatever its recipe's status is, so it must not get one."""
    pid, terminal = make_run_on_a_terminal(tmp_path)
    with open(terminal, "r+b", buffering=0) as screen:
        assert read_until(screen, b"ready\r\n") == b"begun\r\nready\r\n"
        screen.write(b"\x03")
        assert read_until(screen, b"ended\r\n").endswith(b"ended\r\n")
        rest = read_until(screen, b"***")
    _, status = os.waitpid(pid, 0)
    assert (os.waitstatus_to_exitcode(status), rest) == (0, b"")


def test_ctrl_c_before_superd_can_take_it_is_taken_as_soon_as_it_can(tmp_path: Path) -> None:
    pid, terminal = make_run_on_a_terminal(tmp_path, "late")
    with open(terminal, "r+b", buffering=0) as screen:
        read_until(screen, b"begun\r\n")
        screen.write(b"\x03")
        assert read_until(screen, b"ended\r\n") == b"^Cended\r\n"
        rest = read_until(screen, b"***")
    _, status = os.waitpid(pid, 0)
    assert (os.waitstatus_to_exitcode(status), rest) == (0, b"")


def test_a_closed_terminal_ends_make_run(tmp_path: Path) -> None:
    """The SIGHUP that comes with it means reload to superd."""
    pid, terminal = make_run_on_a_terminal(tmp_path)
    with open(terminal, "r+b", buffering=0) as screen:
        read_until(screen, b"ready\r\n")
    os.waitpid(pid, 0)  # make outlives its recipe


def make_run_on_a_terminal(tmp_path: Path, *arguments: str) -> tuple[int, int]:
    """A make whose ``run`` starts a program as ours starts superd; its pid, and the other end of its terminal."""
    (tmp_path / "program.py").write_text(INTERRUPTED)
    command = [sys.executable, str(tmp_path / "program.py"), *arguments]
    (tmp_path / "start.py").write_text(
        f"import os, sys; sys.path.insert(0, {str(ROOT / 'tools')!r})\n"
        "from foreground import run_in_foreground\n"
        f"sys.exit(run_in_foreground(lambda: os.execv(sys.executable, {command!r})))\n"
    )
    (tmp_path / "Makefile").write_text(f"run:\n\t@{sys.executable} -B {tmp_path / 'start.py'}\n")
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp("make", ["make", "-C", str(tmp_path), "--no-print-directory"])
    return pid, terminal


def read_until(screen: FileIO, end: bytes) -> bytes:
    """What a terminal shows up to some bytes, or up to the end of the last program on it (EIO)."""
    shown = b""
    while not shown.endswith(end):
        try:
            shown += screen.read(1)
        except OSError:
            break
    return shown


@pytest.mark.parametrize("name", ["superd.toml", "examples/unprivileged.toml"])
def test_the_examples_of_make_run_have_no_fault_and_no_warning(name: str, tmp_path: Path) -> None:
    config = load(str(private_copy(ROOT / "etc" / name, tmp_path)))
    assert config.warnings == ()
    for service in config.services.values():
        for listen in service.listen:
            assert listen.host == "127.0.0.1" or listen.scheme.is_unix, "examples stay on this machine"
        assert service.builtin or shutil.which(service.program), "examples run on any Debian"


@pytest.mark.parametrize("drop_in", DROP_INS, ids=[path.name for path in DROP_INS])
def test_the_drop_in_examples_have_no_fault(drop_in: Path, tmp_path: Path) -> None:
    private_copy(drop_in, tmp_path)
    main = tmp_path / "main.toml"
    main.write_text(f'[superd]\ninclude = ["{drop_in.name}"]\n')
    config = load(str(main), system=False)
    assert all(name.partition("-")[0] == drop_in.stem for name in config.services)
    assert config.services or config.grants


def private_copy(source: Path, folder: Path) -> Path:
    """A copy that superd trusts, whoever owns the checkout."""
    copy = folder / source.name
    shutil.copyfile(source, copy)
    copy.chmod(0o600)
    return copy


def test_the_unit_file_waits_for_superd_and_spares_its_children() -> None:
    unit = (ROOT / "etc/systemd/superd.service").read_text()
    for line in (
        "Type=notify",
        "KillMode=process",
        "RuntimeDirectory=superd",
        "ExecReload=/bin/kill -HUP $MAINPID",
    ):
        assert f"\n{line}\n" in unit


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """superd as ``make install`` leaves it, made from the environment that ``make test`` has built."""
    environment = Path(sys.prefix)
    if not (environment / ".made-of").exists() or environment.name != "test":
        pytest.skip("only under `make test`, which builds the environment that this needs")
    place = tmp_path_factory.mktemp("installed")
    done = make(
        "install",
        f"DESTDIR={place}",
        "PREFIX=/usr",
        f"INSTALL_ENV={environment}",
        "DEPENDENCIES=system",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return place


def test_everything_is_installed_where_a_packager_expects_it(installed: Path) -> None:
    for name in (
        "usr/sbin/superd",
        "usr/bin/superctl",
        "usr/share/man/man8/superd.8",
        "usr/share/man/man8/superctl.8",
        "usr/share/man/man5/superd.toml.5",
        "usr/share/man/man7/superd-design.7",
        "usr/share/man/man7/superd-handler.7",
        "usr/share/doc/superd/examples/handlers/finger.py",
        "usr/lib/systemd/system/superd.service",
        "usr/lib/sysusers.d/superd.conf",
        "usr/share/doc/superd/examples/superd.toml",
    ):
        assert (installed / name).is_file(), name
    assert (
        "ExecStart=/usr/sbin/superd -f" in (installed / "usr/lib/systemd/system/superd.service").read_text()
    )


def test_the_staging_folder_stands_in_no_installed_file(installed: Path) -> None:
    files = [path for path in installed.rglob("*") if path.is_file() and not path.is_symlink()]
    assert [path for path in files if str(installed).encode() in path.read_bytes()] == []


def test_everybody_can_read_what_is_installed_and_only_root_can_change_it(installed: Path) -> None:
    for path in installed.rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode & 0o444 == 0o444, path
        assert mode & 0o022 == 0, path


def test_the_installed_commands_know_their_version(installed: Path) -> None:
    library = installed / "usr/lib/superd"
    # "system" packages are those of the environment that runs the tests
    packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(library), "platbase": str(library)}))
    (packages / "tests.pth").write_text(sysconfig.get_path("purelib") + "\n")
    for command in ("usr/sbin/superd", "usr/bin/superctl"):
        # the first line names the interpreter's final place, so it is started by hand here
        done = subprocess.run(
            [library / "bin/python3", "-I", installed / command, "--version"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert __version__ in done.stdout


def test_uninstall_leaves_nothing_behind(installed: Path) -> None:
    copy = installed.with_name("removed")
    shutil.copytree(installed, copy, symlinks=True)
    done = make("uninstall", f"DESTDIR={copy}", "PREFIX=/usr", f"INSTALL_ENV={sys.prefix}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [path for path in copy.rglob("*") if not path.is_dir()] == []


def test_every_command_of_the_project_has_a_manual_page() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    pages = {page.stem for page in ROOT.glob("man/*.[18]")}
    assert set(scripts) <= pages
