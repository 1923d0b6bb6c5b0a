"""The public side of handlers: what one may be, what it is given, superd.testing, and one in the foreground."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import BaseRequestHandler, DatagramRequestHandler, StreamRequestHandler
from types import ModuleType
from typing import Any

import pytest

from superd.handler import Address, Connection
from superd.handler.loading import LoadError, load, serving
from superd.handler.running import run
from superd.testing import PEER, connected, exchange

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "etc/examples/handlers"


def echo(connection: Connection) -> None:
    for line in connection.reader:
        connection.writer.write(line)


# --- what one may be ---


def plain() -> None:
    print("hello", input())


async def loud(connection: Connection) -> None:
    async for data in connection.stream:
        await connection.stream.send_all(data.upper())


class Lines(StreamRequestHandler):
    def handle(self) -> None:
        self.wfile.write(
            self.rfile.readline() + repr((self.client_address, self.server.server_address)).encode()
        )


class Callable_:  # noqa: N801  a name that is free
    def __call__(self, connection: Connection) -> None:
        connection.writer.write(b"called")

    async def later(self, connection: Connection) -> None:
        await connection.stream.send_all(b"later")


@pytest.mark.parametrize(
    ("handler", "answer"),
    [
        (echo, b"me\n"),
        (plain, b"hello me\n"),
        (loud, b"ME\n"),
        (Lines, b"me\n(('192.0.2.7', 50000), ('192.0.2.1', 7))"),
        (Callable_(), b"called"),
        (Callable_().later, b"later"),
        (functools.partial(echo), b"me\n"),
        (lambda connection=None: connection.writer.write(b"default"), b"default"),
    ],
)
def test_what_may_serve(handler: Any, answer: bytes) -> None:
    assert exchange(handler, b"me\n") == answer


@pytest.mark.parametrize(
    ("handler", "problem"),
    [
        (3, "an object of type int cannot be called"),
        (lambda one, two: None, "cannot be called with the connection, nor with nothing"),
        (lambda *, keyword: None, "cannot be called with the connection, nor with nothing"),
        ((lambda connection: (yield)), "yields, so calling it does nothing"),
    ],
)
def test_what_may_not(handler: Any, problem: str) -> None:
    with pytest.raises(LoadError, match=problem):
        serving(handler)


def test_classes_for_datagrams_are_given_what_a_udp_server_gives_them() -> None:
    class Loud(BaseRequestHandler):
        def handle(self) -> None:
            data, sock = self.request
            sock.send(data.upper())

    with connected(Loud, datagram=True) as session:
        session.socket.send(b"quiet")
        assert session.socket.recv(100) == b"QUIET"
    serving(DatagramRequestHandler)


def test_a_file_named_like_a_module_of_python_shadows_none(tmp_path: Path) -> None:
    (tmp_path / "socket.py").write_text("def serve(connection): pass\n")
    before, path = list(sys.path), sys.path[:]
    try:
        load(f"{tmp_path}/socket.py", "serve", path)
        assert sys.modules["socket"] is socket and sys.path[0] == str(tmp_path)
    finally:
        sys.path[:] = before


# --- what it is given ---


def test_what_was_written_is_sent_before_the_reader_waits() -> None:
    def ask(connection: Connection) -> None:
        connection.writer.write(b"who? ")
        name = connection.reader.readline()
        connection.writer.write(b"hello " + name)

    with connected(ask) as session:
        assert session.socket.recv(100) == b"who? "
        session.socket.sendall(b"me\n")
        assert session.socket.recv(100) == b"hello me\n"


def test_log_is_one_line_whatever_a_client_sends() -> None:
    with connected(lambda connection: connection.log("one\nforged\r")) as session:
        pass
    assert session.log == ["one\\nforged\\r"]


def test_addresses_as_one_writes_them() -> None:
    assert str(Address("192.0.2.7", 1)) == "192.0.2.7:1"
    assert str(Address("2001:db8::1", 1)) == "[2001:db8::1]:1"
    assert str(Address("", 0, 12, 1000, 100)) == "uid:1000"


def test_a_datagram_is_written_at_once_and_has_no_stream() -> None:
    def twice(connection: Connection) -> None:
        with pytest.raises(ValueError, match="datagrams are no stream"):
            connection.stream  # noqa: B018  the property raises
        data = connection.reader.read1()
        connection.writer.write(data)
        connection.writer.write(data)

    with connected(twice, datagram=True) as session:
        session.socket.send(b"x" * 60_000)
        assert [len(session.socket.recv(65536)) for _ in range(2)] == [60_000] * 2


# --- how it ends ---


def ended(handler: Any) -> tuple[int, str]:
    """The exit status after a handler, and what was complained of."""
    said: list[str] = []
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection = Connection(theirs, PEER, PEER, "it", said.append)
        status = run(serving(handler), connection, said.append)
    return status, "\n".join(said)


def leaving(code: object) -> Any:
    def leave(connection: Connection) -> None:
        sys.exit(code)  # type: ignore[arg-type]  # whatever one may write there

    return leave


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [(None, 0, ""), (0, 0, ""), (7, 7, ""), (256 + 3, 3, ""), (-1, 255, ""), ("no", 1, "no")],
)
def test_sys_exit_means_what_it_means_in_python(code: object, status: int, said: str) -> None:
    assert ended(leaving(code)) == (status, said)


def test_an_exception_names_the_peer_and_where_it_was_and_nothing_of_superd() -> None:
    def fail(connection: Connection) -> None:
        raise ValueError("this is why")

    status, said = ended(fail)
    assert status == 1
    assert said.startswith(
        "it: exception while serving 192.0.2.7:50000\nTraceback (most recent call last):\n"
    )
    assert said.endswith("ValueError: this is why") and "in fail" in said and "superd/handler" not in said


def test_a_client_that_hung_up_before_the_answer_is_an_exception_too() -> None:
    said: list[str] = []
    ours, theirs = socket.socketpair()
    ours.close()
    with theirs:
        connection = Connection(theirs, PEER, PEER, "it", said.append)
        assert run(lambda c: c.writer.write(b"answer"), connection, said.append) == 1
    assert "BrokenPipeError" in said[0]


# --- superd.testing ---


def test_what_a_handler_raises_reaches_its_test() -> None:
    def fail(connection: Connection) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        exchange(fail)
    with pytest.raises(SystemExit):
        exchange(leaving(3))


def test_standard_output_is_the_tests_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert exchange(plain, b"me\n") == b"hello me\n"
    print("mine")
    assert capsys.readouterr().out == "mine\n"


def test_a_test_says_who_is_there() -> None:
    def who(connection: Connection) -> None:
        connection.writer.write(f"{connection.peer} {connection.local} {connection.service}".encode())

    told = exchange(who, peer=Address("2001:db8::7", 5), local=Address("2001:db8::1", 79), service="who")
    assert told == b"[2001:db8::7]:5 [2001:db8::1]:79 who"


# --- the examples ---


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_finger_tells_of_people_and_of_nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = example("finger")
    user = type(
        "User", (), {"pw_name": "ada", "pw_uid": 1000, "pw_gecos": "Ada \x1b[2J,,,", "pw_dir": str(tmp_path)}
    )
    monkeypatch.setattr(module, "pwd", type("Database", (), {"getpwnam": lambda name: {"ada": user}[name]}))
    assert exchange(module.finger, b"ada\r\n") == b"Login: ada\r\nName: Ada ?[2J\r\nNo plan.\r\n"
    (tmp_path / ".plan").write_text("Rest.")
    assert exchange(module.finger, b"/W ada\r\n").endswith(b"Plan:\r\nRest.\r\n")
    assert exchange(module.finger, b"root\r\n") == b"root: no such user.\r\n"
    assert exchange(module.finger, b"\r\n") == b"Whom do you want to know about?\r\n"
    assert exchange(module.finger, b"ada@example.net\r\n") == b"Ask that host yourself.\r\n"


def test_gopher_shows_its_folder_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = example("gopher")
    root = tmp_path / "root"
    for path, text in (("notes/one.txt", "1"), ("two.bin", "2"), (".hidden", "3"), ("../outside.txt", "4")):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    (root / "link.txt").symlink_to(tmp_path / "outside.txt")
    monkeypatch.setattr(module, "ROOT", root)
    menu = exchange(module.Gopher, b"\r\n").decode().splitlines()
    assert menu[-1] == "." and [line.split("\t")[0] for line in menu[:-1]] == [
        "0link.txt",
        "1notes",
        "9two.bin",
    ]
    assert menu[1] == "1notes\t/notes\tlocalhost\t7"
    assert exchange(module.Gopher, b"/notes/one.txt\r\n") == b"1"
    for elsewhere in (b"/.hidden", b"/../outside.txt", b"/link.txt", b"/none", b"/a\0b"):
        assert exchange(module.Gopher, elsewhere + b"\r\n").startswith(b"3no such thing")


def test_counter_answers_line_by_line(monkeypatch: pytest.MonkeyPatch) -> None:
    module = example("counter")
    requests = [
        b'{"do": "add", "numbers": [1, 2, 3]}',
        b'{"do": "who"}',
        b"{",
        b'{"do": "add", "numbers": ["x"]}',
    ]
    answers = exchange(module.serve, b"\n".join([*requests, b""])).splitlines()
    assert list(map(json.loads, answers)) == [
        {"sum": 6}, {"you": "192.0.2.7:50000"}, {"error": "not JSON"}, {"error": "no such request"},
    ]  # fmt: skip
    assert exchange(module.serve, b"x" * (module.MOST_BYTES + 1)) == b""
    monkeypatch.setattr(module, "SILENCE_S", 0.01)
    with connected(module.serve) as session:
        assert session.socket.recv(1) == b"", "a silent client is left"


@pytest.mark.parametrize("name", ["finger", "gopher", "counter"])
def test_the_guide_shows_the_examples_as_they_are(name: str) -> None:
    text = (EXAMPLES / f"{name}.py").read_text().strip()
    for char, written in (("\\", r"\e"), ("-", r"\-"), ('"', r"\(dq")):
        text = text.replace(char, written)
    assert f"\n{text}\n" in (ROOT / "man/superd-handler.7").read_text()


# --- in the foreground ---


@contextmanager
def foreground(*arguments: str, folder: Path) -> Iterator[str]:
    """``python -m superd.handler``; its address. Ended as Ctrl-C does, with status 0."""
    command = [sys.executable, "-m", "superd.handler", *arguments]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            match = re.search(r"listens on (\S+);", line)
            assert match, line + process.stderr.read()
            yield match[1]
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


def ask(address: str, data: bytes) -> bytes:
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), 30) as client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: client.recv(65536), b""))


def test_the_foreground_serves_what_was_just_edited(tmp_path: Path) -> None:
    code = "import os\ndef hello(): print('one', input(), os.environ['TCPREMOTEIP'])\n"
    (tmp_path / "served.py").write_text(code)
    for name in ("served:hello", "served.py:hello"):
        (tmp_path / "served.py").write_text(code)
        with foreground(name, folder=tmp_path) as address:
            assert ask(address, b"me\n") == b"one me 127.0.0.1\n"
            (tmp_path / "served.py").write_text(code.replace("one", "another"))
            assert ask(address, b"me\n") == b"another me 127.0.0.1\n"


def test_the_foreground_on_a_unix_socket(tmp_path: Path) -> None:
    (tmp_path / "served.py").write_text("def who(c): c.writer.write(str(c.peer).encode())\n")
    path = tmp_path / "s"
    with foreground("served:who", "--listen", f"unix://{path}", folder=tmp_path) as shown:
        assert shown == str(path)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(shown)
            assert client.recv(100) == f"uid:{os.getuid()}".encode()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["served:none"], 78, "served has no none"),
        (["nothing_there:serve"], 78, "ModuleNotFoundError: No module named 'nothing_there'"),
        (["served"], 64, "names no function"),
        (["served:hello", "--listen", "udp://127.0.0.1:7"], 64, "carries no streams"),
    ],
)
def test_the_foreground_says_at_once_what_is_wrong(
    tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    (tmp_path / "served.py").write_text("def hello(connection): pass\n")
    command = [sys.executable, "-m", "superd.handler", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == code and said in done.stderr
