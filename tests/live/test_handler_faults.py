"""What is wrong with a handler, or changes: it is told, and nobody else is the worse for it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from clients import connect, first_line
from harness import Superd, exchange, wait_until, written
from served import handler

pytestmark = pytest.mark.live


def is_off(superd: Superd) -> str:
    """Waits until the service is off; why."""
    fault: str = wait_until(lambda: superd.status("it")["fault"], "the service to be off")
    assert superd.status("it")["state"] == "faulty"
    return fault


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import nothing_of_that_name", "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("def serve(:", "SyntaxError: invalid syntax"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("serve = 3", "an object of type int cannot be called"),
        ("def other(connection): pass", "has no serve"),
        ("def serve(one, two): pass", "cannot be called with the connection, nor with nothing"),
        ("def serve(connection): yield", "serve yields, so calling it does nothing"),
        ("import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
         "def serve(connection): pass", "starts threads while it is imported"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_off_alone_and_says_why(
    address: str, folder: Path, code: str, reason: str
) -> None:
    path = written(folder / "served.py", code)
    echo = f'[services.echo]\nlisten = ["tcp://{address}:8"]\nexec = ["/bin/cat"]\nuser = "games"\n'
    broken = f'[services.it]\nlisten = ["tcp://{address}:7"]\nhandler = "{path}:serve"\nuser = "daemon"\n'
    with Superd(broken + echo) as superd:
        fault = is_off(superd)
        assert reason in fault and f"{path}:serve" in fault
        assert exchange(address, 8, b"still here") == b"still here"
        assert reason in superd.ctl("explain", "it").stdout
        with pytest.raises(ConnectionRefusedError):
            connect(address)


def test_the_traceback_of_an_import_is_in_the_log_and_a_reload_tries_again(
    address: str, folder: Path
) -> None:
    code = "import helping\ndef hello(connection): connection.writer.write(helping.TEXT)\n"
    with Superd(handler(address, folder, code, "hello")) as superd:
        is_off(superd)
        superd.wait_for(
            "output", service="it", message=re.compile(r'File ".*served\.py", line 1, in <module>')
        )
        written(folder / "helping.py", "TEXT = b'hello'\n")
        superd.reload()
        assert exchange(address, 7) == b"hello"
        assert superd.status("it")["fault"] == ""


def test_a_changed_file_is_picked_up_by_a_reload_and_so_is_one_that_it_imports(
    address: str, folder: Path
) -> None:
    written(folder / "helping.py", "TEXT = b'one'\n")
    code = "import helping\ndef hello(connection): connection.writer.write(helping.TEXT)\n"
    with Superd(handler(address, folder, code, "hello")) as superd:
        assert exchange(address, 7) == b"one"
        written(folder / "helping.py", "TEXT = b'another'\n")
        superd.reload()
        assert exchange(address, 7) == b"another"
        newest = superd.spawners("it")[-1]  # the old one may not have noticed yet
        superd.reload()
        assert exchange(address, 7) == b"another"
        assert superd.spawners("it")[-1] == newest, "nothing has changed, and it was imported anew"


def test_what_is_served_goes_on_with_the_old_code(address: str, folder: Path) -> None:
    code = (
        "def hello(connection):\n  for line in connection.reader: connection.writer.write(b'old ' + line)\n"
    )
    with Superd(handler(address, folder, code, "hello")) as superd, connect(address) as client:
        client.sendall(b"one\n")
        assert first_line(client) == b"old one\n"
        superd.reload(handler(address, folder, code.replace("old", "brand new"), "hello"))
        assert exchange(address, 7, b"two\n") == b"brand new two\n"
        client.sendall(b"three\n")
        assert first_line(client) == b"old three\n"


def test_a_missing_file_is_a_fault_at_once(address: str, folder: Path) -> None:
    services = f'[services.it]\nlisten = ["tcp://{address}:7"]\nhandler = "{folder}/none.py:serve"\nuser = "daemon"\n'
    with Superd(services) as superd:
        assert "no such file; install it, or name another" in is_off(superd)
