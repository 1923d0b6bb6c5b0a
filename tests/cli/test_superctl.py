"""superctl: what it asks, what it shows, and which exit code a script gets."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from superd import __version__
from superd.cli import superctl
from superd.cli.explain import explain
from superd.cli.tables import align, status_table
from superd.config import places
from superd.config.dump import policy_tables
from superd.errors import Exit
from superd.policy.rules import Access, Limits, ProxyProtocol

FTP = {
    "name": "ftp",
    "state": "running",
    "listen": ["tcp://*:21", "tcp://[::1]:2121"],
    "mode": "nowait",
    "children": 2,
    "accepted": 1234,
    "refused": {"rate": 3, "access": 4},
    "user": "ftp:ftp",
    "spawners": [4711],
    "fault": "",
    "broken": {},
    "trouble": "",
}
SETTINGS = {
    "program": ["/usr/sbin/in.ftpd", "-l", "two words"],
    "runtime_max_s": 3600.0,
    "idle_timeout_s": -1.0,
    "timeout_stop_s": 10.0,
    "kill_signal": 15,
    "standard_error": "log",
    "traits": ["nowait", "stream", "tcp"],
    "acceptor_user": "superd",
    **policy_tables(Limits(), Access(), ProxyProtocol(), all_keys=True),
}

Daemon = Callable[[bytes], list[dict[str, Any]]]


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    """A superd that answers one request with given bytes; gives the list of what it was asked."""
    path = tmp_path / "control.sock"
    monkeypatch.setenv("SUPERD_CONTROL", str(path))
    threads = []

    def answer_with(raw: bytes) -> list[dict[str, Any]]:
        asked: list[dict[str, Any]] = []
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            with listener, listener.accept()[0] as client, client.makefile("rb") as request:
                asked.append(json.loads(request.readline()))
                client.sendall(raw)

        thread = threading.Thread(target=serve)
        thread.start()
        threads.append(thread)
        return asked

    yield answer_with
    for thread in threads:
        thread.join()


def says(answer: dict[str, Any]) -> bytes:
    return json.dumps(answer).encode() + b"\n"


# --- nobody there, or nothing to ask ---


@pytest.mark.parametrize("command", [["status"], ["reload"], ["stop"], ["explain", "ftp"]])
def test_without_a_daemon_scripts_get_69(
    tmp_path: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "none.sock"
    assert superctl.main(["--control", str(path), *command]) == Exit.UNAVAILABLE
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        f"superctl: {path}: No such file or directory; is superd running? "
        "--control or SUPERD_CONTROL names another socket\n"
    )


def test_a_daemon_that_died_left_its_socket(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "stale.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    assert superctl.main(["--control", str(path), "status"]) == Exit.UNAVAILABLE
    assert "Connection refused; is superd running?" in capsys.readouterr().err


@pytest.mark.parametrize("argv", [[], ["no-such"], ["explain"], ["status", "ftp"], ["--no-such", "status"]])
def test_usage_errors_exit_as_sysexits_has_it(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        superctl.main(argv)
    assert caught.value.code == Exit.USAGE
    assert capsys.readouterr().err.startswith("usage: superctl")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        superctl.main(["--version"])
    assert caught.value.code == Exit.OK
    assert capsys.readouterr().out == f"superctl {__version__}\n"


def test_check_is_superds_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "superd.toml"
    path.write_text("no_such_table = 1\n")
    path.chmod(0o600)
    assert superctl.main(["check", str(path), "--no-system"]) == Exit.CONFIG
    assert capsys.readouterr().err.startswith(f"superd: {path}: no_such_table")


def test_the_socket_may_be_named_after_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPERD_CONTROL", "/elsewhere")
    path = tmp_path / "none.sock"
    assert superctl.main(["explain", "--control", str(path), "ftp"]) == Exit.UNAVAILABLE
    assert capsys.readouterr().err.startswith(f"superctl: {path}: ")


def test_a_user_without_a_superd_of_his_own_asks_that_of_root(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SUPERD_CONTROL", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    monkeypatch.setattr(superctl, "CONTROL_SOCKET", str(tmp_path / "root.sock"))
    monkeypatch.setattr(places, "CONTROL_SOCKET", str(tmp_path / "root.sock"))
    assert superctl.main(["status"]) == Exit.UNAVAILABLE
    assert capsys.readouterr().err.startswith(f"superctl: {tmp_path}/root.sock: ")
    own = tmp_path / "superd" / "control.sock"
    own.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(own))
    assert superctl.main(["status"]) == Exit.UNAVAILABLE
    assert capsys.readouterr().err.startswith(f"superctl: {own}: ")


# --- answers ---


def test_status_is_a_table(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    asked = daemon(says({"ok": True, "superd": {}, "services": {"ftp": FTP}}))
    assert superctl.main(["status"]) == Exit.OK
    assert asked[0]["command"] == "status"
    header, row = capsys.readouterr().out.splitlines()
    assert header.split() == [
        "SERVICE", "STATE", "MODE", "LISTEN", "USER", "CHILDREN", "ACCEPTED", "REFUSED"
    ]  # fmt: skip
    assert row.split() == [
        "ftp", "running", "nowait", "tcp://*:21", "tcp://[::1]:2121", "ftp:ftp", "2", "1234", "7"
    ]  # fmt: skip


@pytest.mark.parametrize("argv", [["--json", "status"], ["status", "--json"]])
def test_json_is_what_superd_answered(
    daemon: Daemon, argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    answer = {"ok": True, "superd": {"version": "1"}, "services": {"ftp": FTP}}
    daemon(says(answer))
    assert superctl.main(argv) == Exit.OK
    assert json.loads(capsys.readouterr().out) == answer


@pytest.mark.parametrize(("argv", "children"), [(["stop"], False), (["stop", "--children"], True)])
def test_stop_says_whether_children_end_too(daemon: Daemon, argv: list[str], children: bool) -> None:
    with subprocess.Popen(["/bin/sleep", "0.1"]) as master:
        asked = daemon(says({"ok": True, "master": master.pid, "lines": ["stopping"]}))
        assert superctl.main(argv) == Exit.OK
        assert master.poll() is not None, "stop returned while the master was still there"
    assert asked == [{"command": "stop", "children": children}]


@pytest.mark.parametrize(
    ("error", "code"),
    [("permission", Exit.PERMISSION), ("faults", Exit.CONFIG), ("no-service", Exit.USAGE)],
)
def test_a_refusal_is_told_on_standard_error_and_by_the_exit_code(
    daemon: Daemon, error: str, code: Exit, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon(says({"ok": False, "error": error, "lines": ["one", "two"]}))
    assert superctl.main(["reload"]) == code
    assert capsys.readouterr() == ("", "superctl: one\nsuperctl: two\n")


def test_a_daemon_that_hangs_up_is_unavailable(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    daemon(b"")
    assert superctl.main(["status"]) == Exit.UNAVAILABLE
    assert "hung up without an answer" in capsys.readouterr().err


def test_more_than_superd_listens_to_is_told_before_it_is_sent(capsys: pytest.CaptureFixture[str]) -> None:
    networks = ", ".join(f'"10.{number >> 8}.{number & 255}.0/24"' for number in range(6_000))
    assert superctl.main(["--control", "/none", "tune", "ftp", f"access.deny=[{networks}]"]) == Exit.USAGE
    assert "of which superd takes 65536; write it in the configuration and reload" in capsys.readouterr().err


def test_half_an_answer_is_none(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    """superd was killed while it answered."""
    daemon(b'{"ok": true, "serv')
    assert superctl.main(["status"]) == Exit.UNAVAILABLE
    assert "hung up" in capsys.readouterr().err


# --- words and tables ---


def test_explain_tells_who_what_and_how_it_ends() -> None:
    text = explain({**FTP, **SETTINGS})
    assert text.splitlines()[0] == "ftp listens on tcp://*:21, tcp://[::1]:2121."
    assert "/usr/sbin/in.ftpd -l 'two words', running as ftp:ftp." in text
    assert "runs longer than 1h is ended" in text
    assert "superd sends SIGTERM, and SIGKILL 10s later" in text
    assert "Now: running, 2 children, 1234 accepted so far." in text


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"mode": "wait"}, "starts one process, which is given the listening socket"),
        ({"mode": "always"}, "One process is kept running"),
        ({"standard_error": "socket"}, "goes to the client"),
        ({"standard_error": "null"}, "is thrown away"),
        ({"user": ""}, "running as superd."),
        ({"kill_signal": 40}, "superd sends signal 40, and"),
        ({"timeout_stop_s": -1.0}, "superd sends SIGTERM, and waits for as long as it takes."),
        (
            {"idle_timeout_s": 600.0},
            "nobody has asked for anything for 10min is ended; the next to knock starts",
        ),
        ({"children": 1}, "Now: running, 1 child, 1234"),
        ({"state": "faulty", "fault": "f: no user"}, "It is off because of f: no user"),
        ({"broken": {"tcp://*:21": "in use"}}, "tcp://*:21 is not open: in use"),
        ({"trouble": "its program failed"}, "It is tried again by itself: its program failed."),
    ],
)
def test_explain_tells_what_is_special(changed: dict[str, Any], told: str) -> None:
    assert told in explain({**FTP, **SETTINGS, **changed})


def test_a_service_without_limit_of_time_is_not_said_to_have_one() -> None:
    assert "longer than" not in explain({**FTP, **SETTINGS, "runtime_max_s": -1.0})


def test_faults_stand_in_full_below_the_table() -> None:
    table = status_table(
        {
            "ftp": {**FTP, "state": "faulty", "fault": "f: no user\nf: no program"},
            "ssh": {**FTP, "broken": {"tcp://*:22": "Address already in use"}},
            "off": {**FTP, "state": "disabled", "fault": "disabled"},
            "web": {**FTP, "state": "retrying", "trouble": "its program failed"},
        }
    )
    assert table.split("\n\n")[1].splitlines() == [
        "ftp: f: no user",
        "ftp: f: no program",
        "ssh: tcp://*:22: Address already in use",
        "web: its program failed; the log has more",
    ]


def test_columns_are_as_wide_as_their_widest_cell_and_lines_end_with_their_text() -> None:
    assert align([("A", "B"), ("long", ""), ("x", "y")]) == "A     B\nlong\nx     y"


def test_no_services_are_a_header_alone() -> None:
    assert len(status_table({}).splitlines()) == 1


def test_explain_tells_of_what_superd_serves_itself() -> None:
    own = {"builtin": "ident", "ident_user": "nobody", "idle_timeout_s": 600.0, "program": (), "user": ""}
    text = explain({**FTP, **SETTINGS, **own})
    assert (
        "superd serves ident by itself, without a process and without privilege, as its acceptor's user superd."
        in text
    )
    assert "It says that every connection is nobody's." in text
    assert "A connection on which nothing moves for 10min is closed." in text
    assert "SIGTERM" not in text
