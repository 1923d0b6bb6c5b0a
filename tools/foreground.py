"""Runs superd in the foreground on one of the examples in etc/, for ``make run``.

    python tools/foreground.py [FILE]

Says first which commands to try: the lines of the file that begin with ``# try:``.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
TRY = "# try: "

AS_ROOT = "It listens on loopback alone, on ports below 1024; every program runs as another user."
AS_USER = (
    "You are not root, so this is less than superd can do: it listens on high ports, everything runs as you,\n"
    "and nothing keeps one service from touching another. `sudo make run` shows the real thing."
)


def main(arguments: list[str]) -> int:
    return run_in_foreground(lambda: start(arguments))


def start(arguments: list[str]) -> NoReturn:
    """Say what there is to try, and become superd."""
    root = os.geteuid() == 0
    default = ROOT / "etc" / ("superd.toml" if root else "examples/unprivileged.toml")
    source = Path(arguments[0]).absolute() if arguments else default
    if not source.is_file():
        sys.exit(f"no such file: {source}")
    file = trusted(source)
    print(f"superd runs on {file}; Ctrl-C ends it.\n{AS_ROOT if root else AS_USER}")
    hints = [line.removeprefix(TRY) for line in source.read_text().splitlines() if line.startswith(TRY)]
    hints.append(f"{sys.prefix}/bin/superctl status")
    print("\n".join(["Try in another terminal (bash):", *(f"  {hint}" for hint in hints), ""]), flush=True)
    os.execv(sys.executable, [sys.executable, "-I", "-m", "superd", "-f", str(file)])


def trusted(source: Path) -> Path:
    """The file itself, or a copy of it where superd trusts it.

    superd reads only what belongs to root or to its caller and what nobody else may write or replace. A checkout
    that an ordinary user made for ``sudo make run`` is not that, nor is one made with a umask of 002.
    """
    # here, because the rest of this file must also run where superd is not installed
    from superd.config.files import read_trusted
    from superd.config.findings import RejectedError
    from superd.config.places import CONTROL_SOCKET, control_socket

    try:
        read_trusted(str(source))
    except RejectedError:
        own = os.path.dirname(control_socket(CONTROL_SOCKET, os.geteuid(), os.environ))
        return copied(source, Path(sys.prefix if os.geteuid() == 0 else own))
    return source


def copied(source: Path, folder: Path) -> Path:
    """A copy of the file in a folder that is its owner's alone."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    copy = folder / source.name
    copy.unlink(missing_ok=True)
    shutil.copyfile(source, copy)
    copy.chmod(0o644)
    return copy


def run_in_foreground(become: Callable[[], NoReturn]) -> int:
    """Have a child become a command, as a shell with job control would run it, and return its exit status.

    Ctrl-C would otherwise reach ``make`` too, which dies of it whatever superd's own status is. So the child
    becomes the terminal's foreground group, alone. Without a terminal the command takes this process over.

    It starts with Ctrl-C blocked: superd lets it come as soon as it can end in order.
    """
    terminal = open_terminal()
    if terminal is None:
        become()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        give_terminal(terminal, os.getpgrp())
        become()
    with contextlib.suppress(PermissionError, ProcessLookupError):  # it has done so itself, and gone on
        os.setpgid(child, child)
    for received, sent in PASSED_ON.items():
        signal.signal(received, lambda *_, sent=sent: tell(child, sent))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    Thread(target=end_with_terminal, args=(terminal, child), daemon=True).start()
    return wait_in_foreground(terminal, child)


def wait_in_foreground(terminal: int, child: int) -> int:
    """The child's exit status, once it has ended; as long as it is stopped, so are we."""
    while True:
        give_terminal(terminal, child)
        _, status = os.waitpid(child, os.WUNTRACED)
        give_terminal(terminal, os.getpgrp())
        if not os.WIFSTOPPED(status):
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
        os.killpg(0, signal.SIGTSTP)  # Ctrl-Z stops make as well; here `fg` has woken us
        os.killpg(child, signal.SIGCONT)


def give_terminal(terminal: int, group: int) -> None:
    """Make a process group the terminal's foreground; a terminal that is gone (EIO) has none."""
    # tcsetpgrp(3) stops a caller in the background unless SIGTTOU is blocked
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
    with contextlib.suppress(OSError):
        os.tcsetpgrp(terminal, group)


def end_with_terminal(terminal: int, child: int) -> None:
    """End the command when its terminal hangs up: the SIGHUP that it gets itself means reload to superd."""
    hangup = select.poll()
    hangup.register(terminal, 0)  # POLLHUP is always told
    hangup.poll()
    tell(child, signal.SIGTERM)


def tell(child: int, number: int) -> None:
    """Send a signal to the command, if it is still there."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, number)


def open_terminal() -> int | None:
    """The controlling terminal, if there is one and this process is in its foreground."""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    return terminal if os.tcgetpgrp(terminal) == os.getpgrp() else None


PASSED_ON = {
    signal.SIGINT: signal.SIGINT,
    signal.SIGTERM: signal.SIGTERM,
    signal.SIGHUP: signal.SIGTERM,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
