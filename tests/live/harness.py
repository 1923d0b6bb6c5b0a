"""superd as tests run it: a configuration of its own, a folder that services can read, and no way to leak.

``with Superd(toml) as superd:`` starts ``python -m superd`` as an administrator would, waits until it serves and,
at the end, stops it by SIGTERM, expects exit code 0 and that no process of it is left. Tests wait for what they
look for (``wait_for``, ``wait_until``), never for a time; a wait that lasts ``PATIENCE_S`` is a failure.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 30.0
"""Only a hang lasts as long."""

_POLL_S = 0.01

T = TypeVar("T")
Event = dict[str, Any]
"""A line of the JSON log."""


def wait_until(condition: Callable[[], T], what: str) -> T:
    """Asks again and again, until the answer is true.

    Args:
        condition: asked every few milliseconds.
        what: what is waited for, to be read in the failure.

    Returns:
        The true answer.

    Raises:
        AssertionError: none within ``PATIENCE_S``.
    """
    deadline = time.monotonic() + PATIENCE_S
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(_POLL_S)
    return answer


@contextmanager
def public_folder() -> Iterator[Path]:
    """A folder that every user can enter (pytest's own are for their maker alone); removed at the end."""
    path = Path(tempfile.mkdtemp(prefix="superd-live-"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path)


def written(path: Path, text: str, mode: int = 0o644) -> Path:
    """Writes a file, dedented, and the folders above it; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))
    path.chmod(mode)
    return path


def run(*command: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Runs a client to its end, with nothing on standard input; whether it succeeded is for the test to judge.

    Args:
        options: more of ``subprocess.run``'s.
    """
    defaults = {"stdin": subprocess.DEVNULL, "timeout": PATIENCE_S, "check": False}
    return subprocess.run(list(command), capture_output=True, text=True, **{**defaults, **options})


def output(*command: str | Path, **options: Any) -> str:
    """What a client that succeeds shows.

    Raises:
        AssertionError: it failed; says what it complained of.
    """
    done = run(*command, **options)
    assert done.returncode == 0, f"{command}: exit code {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout


def exchange(address: str, port: int, data: bytes = b"") -> bytes:
    """Connects by TCP, sends, closes its side, and reads to the end."""
    with socket.create_connection((address, port), PATIENCE_S) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        return read_all(sock)


def read_all(sock: socket.socket) -> bytes:
    """What comes until the other side closes."""
    return b"".join(iter(lambda: sock.recv(65536), b""))


# --- processes ---


def stat_fields(pid: int) -> tuple[str, str, int] | None:
    """Short name, state and parent of a process (proc_pid_stat(5)); None when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    head, _, tail = text.rpartition(")")
    state, parent = tail.split()[:2]
    return head.partition("(")[2], state, int(parent)


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    fields = stat_fields(pid)
    return fields is not None and fields[1] not in "ZX"


def descendants(pid: int) -> list[int]:
    """Every process below another, the nearest first."""
    below: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        fields = stat_fields(int(name)) if name.isdigit() else None
        if fields is not None:
            below.setdefault(fields[2], []).append(int(name))
    found = [pid]
    for parent in found:
        found += below.get(parent, [])
    return found[1:]


def is_superds(pid: int) -> bool:
    """Whether a process is a living part of superd: master, acceptor or spawner. All title themselves so."""
    fields = stat_fields(pid)
    return fields is not None and fields[0].startswith("superd:") and fields[1] not in "ZX"


def becoming(user: str) -> list[str]:
    """The beginning of a command that runs as ``user``, groups and all; empty for the empty user."""
    if not user:
        return []
    return ["setpriv", f"--reuid={user}", f"--regid={pwd.getpwnam(user).pw_gid}", "--init-groups", "--"]


# --- superd ---


class Superd:
    """A running superd. Enter it as a context manager.

    Args:
        services: the configuration's services, TOML; indentation in common is taken away. It may name
            files below ``folder`` when that is given.
        settings: more lines of ``[superd]``.
        folder: where its files are (configuration, log, control socket); one of its own unless given.
        environ: the environment it is started with; the test's own unless given.
        prefix: a command that starts it (``["prlimit", "--nofile=64:64"]``).
        run_as: start it as this user; the folder is then his.
    """

    def __init__(
        self,
        services: str,
        *,
        settings: str = "",
        folder: Path | None = None,
        environ: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
        run_as: str = "",
    ) -> None:
        self._services = services
        self._settings = settings
        self._given_folder = folder
        self._environ = dict(os.environ if environ is None else environ)
        self._run_as = run_as
        self._prefix = [*prefix, *becoming(run_as)]
        self._survivors: list[int] = []

    # --- its life ---

    def __enter__(self) -> Self:
        self._folder_life = public_folder()
        own_folder = self._folder_life.__enter__()
        self.folder = self._given_folder or own_folder
        try:
            self._start()
        except BaseException:
            self._clear_away()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is not None:
                error.add_note(self.report())
                self.kill()
            elif self._process.poll() is None:
                self.stop()
        finally:
            self._clear_away()

    def _start(self) -> None:
        self.config = self.folder / "superd.toml"
        self.log = self.folder / "log"
        self.control = self.folder / "control.sock"
        self.stderr = self.folder / "stderr"
        self.configure(self._services)
        if self._run_as:
            user = pwd.getpwnam(self._run_as)
            for path in (self.folder, self.config):
                os.chown(path, user.pw_uid, user.pw_gid)
        with open(self.stderr, "wb") as stderr:
            self._process = subprocess.Popen(
                [*self._prefix, sys.executable, "-m", "superd", "-f", str(self.config)],
                cwd=ROOT,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
            )
        try:
            wait_until(self._serves, "superd to serve")
        except AssertionError as error:
            error.add_note(self.report())
            raise

    def _serves(self) -> bool:
        status = self._process.poll()
        assert status is None, f"superd ended with exit code {status}"
        return bool(self.log_events("start", config=str(self.config)))

    def stop(self) -> None:
        """Stops superd as a supervisor would: SIGTERM, exit code 0, and nothing of it left. Children may be."""
        below = self._below()
        self._process.send_signal(signal.SIGTERM)
        status = self._process.wait(PATIENCE_S)
        assert status == 0, f"exit code {status} at stop\n{self.report()}"
        self._wait_gone(below)

    def kill(self) -> None:
        """kill -9 of the master; returns when the acceptor and the spawners have noticed and are gone too."""
        below = self._below()
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(PATIENCE_S)
        self._wait_gone(below)

    def _below(self) -> list[int]:
        below = descendants(self._process.pid)
        self._survivors += below
        return below

    def _wait_gone(self, below: list[int]) -> None:
        wait_until(lambda: not any(map(is_superds, below)), "the processes of superd to end")

    def _clear_away(self) -> None:
        """Ends what the test let live: services' children, and superd itself when it did not even start."""
        process = getattr(self, "_process", None)
        if process is not None and process.poll() is None:
            self._below()
            process.kill()
            process.wait(PATIENCE_S)
        for pid in self._survivors:
            if is_alive(pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self._folder_life.__exit__(None, None, None)

    def report(self) -> str:
        """What superd wrote, for a failure's text."""
        texts = {
            path.name: path.read_text(errors="replace") for path in (self.stderr, self.log) if path.exists()
        }
        return "\n".join(f"--- {name} ---\n{text}" for name, text in texts.items())

    # --- configuration ---

    def configure(self, services: str, settings: str | None = None) -> None:
        """Writes the configuration anew; ``reload`` puts it into force. Its owner and mode stay."""
        if settings is not None:
            self._settings = settings
        own = f'[superd]\ncontrol = "{self.control}"\nlog = "{self.log}"\nlog_format = "json"\n'
        more, rest = textwrap.dedent(self._settings), textwrap.dedent(services)
        self.config.write_text(f"{own}{more}\n{rest}")

    def reload(self, services: str | None = None) -> None:
        """Puts the configuration into force, or ``services`` first, through superctl.

        Raises:
            AssertionError: superd turned it down.
        """
        if services is not None:
            self.configure(services)
        done = self.ctl("reload")
        assert done.returncode == 0, done.stderr

    def signal(self, number: int) -> None:
        """Sends the master a signal."""
        self._process.send_signal(number)

    # --- what it says ---

    def ctl(self, *arguments: str, run_as: str = "") -> subprocess.CompletedProcess[str]:
        """Runs superctl, as a user if one is given; its exit code is for the test to judge."""
        program = [sys.executable, "-m", "superd.cli.superctl", "--control", str(self.control)]
        return run(*becoming(run_as), *program, *arguments, cwd=ROOT)

    def status(self, service: str | None = None) -> dict[str, Any]:
        """``superctl --json status``: all services by name, or one of them."""
        done = self.ctl("--json", "status")
        assert done.returncode == 0, done.stderr
        services: dict[str, Any] = json.loads(done.stdout)["services"]
        return services if service is None else services[service]

    def log_events(self, event: str | None = None, **fields: Any) -> list[Event]:
        """The log's lines, oldest first.

        Args:
            event: only those of this event.
            fields: only those with these fields; a compiled pattern is searched for, all else must be equal.
        """
        lines = self.log.read_text().splitlines(keepends=True) if self.log.exists() else []
        events = [json.loads(line) for line in lines if line.endswith("\n")]
        return [one for one in events if event in (None, one["event"]) and _has(one, fields)]

    def wait_for(self, event: str, *, count: int = 1, **fields: Any) -> Event:
        """Waits until the log has so many of such lines (see ``log_events``); returns the last of them."""
        what = f"{count} times {event} {fields} in the log"
        wanted: list[Event] = wait_until(
            lambda: found if len(found := self.log_events(event, **fields)) >= count else [], what
        )
        return wanted[count - 1]

    # --- its processes ---

    @property
    def master_pid(self) -> int:
        return self._process.pid

    @property
    def acceptor_pid(self) -> int:
        """The acceptor of the moment; waits for one while it is being replaced."""

        def find() -> int:
            names = {pid: stat_fields(pid) for pid in descendants(self.master_pid)}
            return next(
                (pid for pid, name in names.items() if name and name[0].startswith("superd: accep")), 0
            )

        return wait_until(find, "an acceptor")

    def spawners(self, service: str) -> list[int]:
        """Pids of a service's spawners; none before its first connection."""
        pids: list[int] = self.status(service)["spawners"]
        return pids


def _has(event: Event, fields: Mapping[str, Any]) -> bool:
    return all(_matches(event.get(key), wanted) for key, wanted in fields.items())


def _matches(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, re.Pattern):
        return value is not None and wanted.search(str(value)) is not None
    return bool(value == wanted)
