"""superd-bind goes unnoticed: signals, exit codes, terminals, and processes that outlive the program."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from binding import BIND, SERVER, answers, bound, broker_pid, environ, grant, granting, started, superd_bind
from harness import descendants, run, stat_fields, wait_until, written

pytestmark = pytest.mark.live

WAITING = 'trap "echo term; exit 9" TERM; trap "echo usr1" USR1; echo ready; while :; do sleep 0.05; done'


@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -KILL $$", -9), ("kill $$", -15)]
)
def test_it_ends_as_the_program_ends(script: str, code: int, address: str) -> None:
    with granting(grant("tcp/80", address)) as superd:
        # asked of the process itself, and not of setpriv: it becomes superd-bind by exec
        assert bound(superd, "/bin/sh", "-c", script).returncode == code


def test_what_does_not_exist(address: str) -> None:
    with granting(grant("tcp/80", address)) as superd:
        done = bound(superd, "/nowhere/program")
        assert (done.returncode, done.stderr) == (
            127,
            "superd-bind: /nowhere/program: No such file or directory\n",
        )


def test_signals_reach_the_program(address: str) -> None:
    with granting(grant("tcp/80", address)) as superd, started(superd, "/bin/sh", "-c", WAITING) as one:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
        one.send_signal(signal.SIGUSR1)
        assert one.stdout.readline() == "usr1\n"
        one.send_signal(signal.SIGTERM)
        assert one.stdout.readline() == "term\n"
        assert one.wait(30) == 9


def test_standard_input_and_output_are_the_programs(address: str) -> None:
    with granting(grant("tcp/80", address)) as superd:
        done = run(*superd_bind("/bin/cat"), env=environ(superd), stdin=None, input="a line\n", cwd="/")
        assert done.stdout == "a line\n"


SHELL = """\
import os, signal, subprocess, sys
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
def to_the_front():  # before it can say a word
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
one = subprocess.Popen(sys.argv[1:], preexec_fn=to_the_front)
status = os.waitpid(one.pid, os.WUNTRACED)[1]
os.tcsetpgrp(0, os.getpgrp())
print("stopped" if os.WIFSTOPPED(status) else status, flush=True)
os.tcsetpgrp(0, one.pid)
os.killpg(one.pid, signal.SIGCONT)
status = os.waitpid(one.pid, 0)[1]
os.tcsetpgrp(0, os.getpgrp())
print("ended", os.waitstatus_to_exitcode(status), flush=True)
"""
"""As much of a shell as job control takes: the program is stopped once, goes on, and ends."""


ECHO = """\
import sys
print("ready", flush=True)
for line in sys.stdin: print(line, end="", flush=True)
"""


def test_a_terminal_stops_it_and_ends_it_with_its_program(address: str) -> None:
    with granting(grant("tcp/80", address)) as superd:
        program = superd_bind("/usr/bin/python3", "-c", ECHO, user="")
        program[:0] = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]
        pid, terminal = os.forkpty()
        if not pid:
            os.execve(sys.executable, [sys.executable, "-c", SHELL, *program], dict(environ(superd)))
        try:
            _expect(terminal, b"ready")
            os.write(terminal, b"\x1a")  # ^Z
            _expect(terminal, b"stopped")
            os.write(terminal, b"a line\n")
            _expect(terminal, b"a line", times=2)  # the terminal's echo, and the program's
            os.write(terminal, b"\x03")  # ^C
            _expect(terminal, b"ended -2")
        finally:
            os.close(terminal)
            os.waitpid(pid, 0)


def _expect(terminal: int, text: bytes, times: int = 1) -> None:
    seen = b""
    while seen.count(text) < times:
        seen += os.read(terminal, 1024)


DAEMON = """\
import os, sys
if os.fork():
    os._exit(5)
os.setsid()
null = os.open("/dev/null", os.O_RDWR)
for descriptor in (0, 1, 2): os.dup2(null, descriptor)
with open(sys.argv[3]) as gate:  # until the test says so
    gate.read()
"""


def test_a_daemon_that_goes_to_the_background_still_gets_its_port(address: str, folder: Path) -> None:
    gate = folder / "gate"
    os.mkfifo(gate, 0o644)
    with granting(grant("tcp/80", address)) as superd:
        script = DAEMON + SERVER.replace("listener.accept()", "listener.listen(); listener.accept()")
        done = bound(superd, "/usr/bin/python3", "-c", script, address, "80", gate)
        assert done.returncode == 5  # it has not waited for the daemon
        gate.write_text("go")
        wait_until(lambda: answers(address, 80), "the daemon's port")
        superd.wait_for("grant", message="granted")


def test_a_parent_that_is_killed_midway(address: str, folder: Path) -> None:
    """The call fails, and neither the broker nor anybody else is the worse for it."""
    result = folder / "result"
    result.touch()
    result.chmod(0o666)
    script = (
        "import errno, socket, sys\n"
        "sock = socket.socket()\n"
        "try: sock.bind((sys.argv[1], 80)); said = 'bound'\n"
        "except OSError as error: said = errno.errorcode[error.errno]\n"
        "open(sys.argv[2], 'w').write(said)\n"
    )
    with granting(grant("tcp/80", address)) as superd:
        os.kill(broker_pid(superd), signal.SIGSTOP)
        try:
            with started(superd, "/usr/bin/python3", "-c", script, address, result) as parent:
                program = wait_until(lambda: _waiting_in_bind(parent), "a bind that waits")
                parent.kill()
                parent.wait(30)
                assert wait_until(result.read_text, "the program's answer") == "ENOSYS"
                assert program
        finally:
            os.kill(broker_pid(superd), signal.SIGCONT)
        assert bound(superd, "/usr/bin/python3", "-c", BIND, address, "80").stdout == "80 bound\n"


def _waiting_in_bind(parent: subprocess.Popen[str]) -> int:
    """The process below superd-bind that waits for seccomp."""
    for pid in descendants(parent.pid):
        try:
            where = Path(f"/proc/{pid}/wchan").read_text()
            number = Path(f"/proc/{pid}/syscall").read_text().split()[0]
        except (OSError, IndexError):
            continue
        if "seccomp" in where or number in ("49", "200"):
            return pid
    return 0


def test_a_setuid_program_stays_who_it_is(address: str, folder: Path) -> None:
    interpreter = folder / "python"
    interpreter.write_bytes(Path("/usr/bin/python3").read_bytes())
    interpreter.chmod(0o4755)
    with granting(grant("tcp/80", address)) as superd:
        done = bound(superd, interpreter, "-c", "import os; print(os.geteuid())\n" + BIND, address, "80")
        assert done.stdout.splitlines() == ["65534", "80 bound"]


def test_one_below_another_says_what_is_wrong(address: str) -> None:
    with granting(grant("tcp/80", address)) as superd:
        done = bound(superd, sys.executable, "-m", "superd.cli.bind", "/bin/true")
        assert done.returncode == 126
        assert "does not work below another superd-bind" in done.stderr


def test_a_program_that_may_not_be_looked_into(address: str) -> None:
    hidden = "import ctypes; ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)\n" + BIND
    with granting(grant("tcp/80", address)) as superd:
        done = bound(superd, "/usr/bin/python3", "-c", hidden, address, "80", "8080")
        assert done.stdout.splitlines() == ["80 EACCES", "8080 bound"]
        assert "may not be looked into" in done.stderr


def test_without_a_broker_the_kernel_answers(address: str, folder: Path) -> None:
    nowhere = {"SUPERD_BIND_SOCKET": f"{folder}/none.sock", "PATH": "/usr/bin:/bin"}
    done = run(*superd_bind("/usr/bin/python3", "-c", BIND, address, "80"), env=nowhere, cwd="/")
    assert done.stdout == "80 EACCES\n"
    assert f"superd-bind: {folder}/none.sock: " in done.stderr and "[[grants]]" in done.stderr


def test_root_needs_no_grant(address: str) -> None:
    with granting(grant("tcp/80", address)) as superd:
        done = bound(superd, "/usr/bin/python3", "-c", BIND, address, "81", user="")
        assert done.stdout == "81 bound\n"
        assert superd.log_events("grant") == []


def test_threads_that_change_the_address_meanwhile(address: str, folder: Path) -> None:
    """What is bound is what was judged: never the port that another thread wrote there after that."""
    script = written(
        folder / "race.py",
        """\
        import ctypes, socket, sys, threading
        libc = ctypes.CDLL(None, use_errno=True)
        address = ctypes.create_string_buffer(16)
        packed = socket.inet_aton(sys.argv[1])
        address[:8] = (2).to_bytes(2, "little") + (80).to_bytes(2, "big") + packed
        over = False
        def flip():
            while not over:
                address[2:4] = (81).to_bytes(2, "big")
                address[2:4] = (80).to_bytes(2, "big")
        threads = [threading.Thread(target=flip) for _ in range(2)]
        for thread in threads: thread.start()
        ports = set()
        for _ in range(300):
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if not libc.bind(sock.fileno(), address, 16):
                ports.add(sock.getsockname()[1])
            sock.close()
        over = True
        print(*ports)
        """,
    )
    with granting(grant("tcp/80", address)) as superd:
        done = bound(superd, "/usr/bin/python3", script, address)
        assert done.stdout in ("80\n", "\n"), done.stderr


def test_the_parent_is_gone_when_all_are(address: str) -> None:
    command = ("/usr/bin/python3", "-c", SERVER, address, "80")
    with granting(grant("tcp/80", address)) as superd, started(superd, *command) as one:
        wait_until(lambda: answers(address, 80), "the server")
        assert one.wait(30) == 0
        assert stat_fields(one.pid) is None
