"""The files of unix sockets: never more open than asked, never somebody else's."""

from __future__ import annotations

import errno
import os
import pathlib
import socket
import stat

import pytest
from helpers.forked import NOBODY, in_child, needs_root, public_folder
from kernel_endpoints import endpoint

from superd.config.model import SocketOptions
from superd.kernel import socketfiles
from superd.kernel.listen import Endpoint, matches, open_listener, remove_socket_file, socket_file_id

SCHEMES = ("unix", "unix-dgram", "unix-seqpacket")
PLAIN = SocketOptions()


def _open(at: Endpoint, options: SocketOptions = PLAIN) -> socket.socket:
    return open_listener(at, options, nonblocking=True)


def _at(path: pathlib.Path, scheme: str = "unix") -> Endpoint:
    return endpoint(f"{scheme}://{path}")


def _failure(at: Endpoint, options: SocketOptions = PLAIN) -> OSError:
    with pytest.raises(OSError) as caught:
        _open(at, options).close()
    assert str(caught.value.strerror).startswith(f"{at.address}: ")
    return caught.value


def _mode(path: pathlib.Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.mark.parametrize("umask", [0, 0o022, 0o077])
@pytest.mark.parametrize("mode", [0o666, 0o660, 0o600])
def test_the_mode_is_the_asked_one_whatever_the_umask(tmp_path: pathlib.Path, umask: int, mode: int) -> None:
    path = tmp_path / "s"

    def child() -> int:
        os.umask(umask)
        with _open(_at(path), SocketOptions(socket_mode=mode)):
            assert os.umask(umask) == umask
            return _mode(path)

    assert in_child(child) == mode


def test_missing_folders_are_made_and_existing_ones_left_alone(tmp_path: pathlib.Path) -> None:
    (tmp_path / "there").mkdir(mode=0o700)
    path = tmp_path / "there" / "a" / "b" / "s"
    with _open(_at(path), SocketOptions(directory_mode=0o770)) as sock:
        assert matches(sock.fileno(), _at(path))
    assert [_mode(folder) for folder in (path.parent, path.parent.parent, tmp_path / "there")] == [
        0o770,
        0o770,
        0o700,
    ]


def test_a_linked_folder_is_followed(tmp_path: pathlib.Path) -> None:
    """/var/run is a link to /run."""
    (tmp_path / "run").mkdir()
    (tmp_path / "var-run").symlink_to("run")
    with _open(_at(tmp_path / "var-run" / "s")):
        assert (tmp_path / "run" / "s").is_socket()


@needs_root
def test_the_owner_is_the_asked_one(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "s"
    with _open(_at(path), SocketOptions(socket_user="nobody", socket_group="daemon", socket_mode=0o660)):
        status = path.lstat()
    assert (status.st_uid, status.st_gid, _mode(path)) == (NOBODY, 1, 0o660)


def test_an_unknown_owner_is_named(tmp_path: pathlib.Path) -> None:
    error = _failure(_at(tmp_path / "s"), SocketOptions(socket_user="no-such-user"))
    assert "no-such-user" in str(error)
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_stale_socket_is_replaced(tmp_path: pathlib.Path, scheme: str) -> None:
    at = _at(tmp_path / "s", scheme)
    _open(at).close()
    assert (tmp_path / "s").is_socket()
    _open(at).close()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("other", SCHEMES)
def test_a_live_socket_is_left_alone(tmp_path: pathlib.Path, scheme: str, other: str) -> None:
    with _open(_at(tmp_path / "s", scheme)) as sock:
        error = _failure(_at(tmp_path / "s", other))
        assert error.errno == errno.EADDRINUSE
        assert matches(sock.fileno(), _at(tmp_path / "s", scheme))


def test_a_live_socket_with_a_full_backlog_is_left_alone(tmp_path: pathlib.Path) -> None:
    at = _at(tmp_path / "s")
    with _open(at, SocketOptions(backlog=0)), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "s"))
        assert _failure(at).errno == errno.EADDRINUSE


def test_a_file_is_never_removed(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "s"
    path.write_text("precious")
    assert _failure(_at(path)).errno == errno.EEXIST
    assert path.read_text() == "precious"


@pytest.mark.parametrize("target", ["socket", "nothing"])
def test_a_link_is_not_followed(tmp_path: pathlib.Path, target: str) -> None:
    with _open(_at(tmp_path / "socket")):
        (tmp_path / "s").symlink_to(target)
        assert _failure(_at(tmp_path / "s")).errno == errno.ELOOP
    assert not (tmp_path / "nothing").exists()


def test_too_long_a_path_is_said_so(tmp_path: pathlib.Path) -> None:
    assert _failure(_at(tmp_path / ("x" * 108))).errno == errno.ENAMETOOLONG


@needs_root
def test_a_folder_that_may_not_be_made_is_an_error() -> None:
    with public_folder() as folder:

        def child() -> int:
            os.setresuid(NOBODY, NOBODY, NOBODY)
            return _failure(_at(folder / "a" / "s")).errno or 0

        assert in_child(child) == errno.EACCES


@needs_root
def test_a_hard_link_to_anothers_socket_is_not_given_away(tmp_path: pathlib.Path) -> None:
    """Somebody who may write to the folder puts it in place of ours just before the owner is changed."""
    with _open(_at(tmp_path / "precious")):
        os.link(tmp_path / "precious", tmp_path / "s")
        folder = os.open(tmp_path, os.O_PATH)
        with pytest.raises(PermissionError, match="replaced"):
            socketfiles._give(folder, "s", (NOBODY, NOBODY))
        os.close(folder)
        assert (tmp_path / "precious").lstat().st_uid == 0


def test_our_file_is_removed(tmp_path: pathlib.Path) -> None:
    at = _at(tmp_path / "s")
    with _open(at):
        file_id = socket_file_id(at)
        assert file_id is not None
        assert remove_socket_file(at, file_id)
        assert not (tmp_path / "s").exists()
        assert not remove_socket_file(at, file_id)


def test_the_file_of_whoever_replaced_us_is_not(tmp_path: pathlib.Path) -> None:
    at = _at(tmp_path / "s")
    with _open(at):
        file_id = socket_file_id(at)
        assert file_id is not None
        (tmp_path / "s").unlink()
        with _open(at):
            assert not remove_socket_file(at, file_id)
            assert (tmp_path / "s").is_socket()


def test_sockets_without_file_have_no_file_id() -> None:
    assert socket_file_id(endpoint("unix://@superd-test-nofile")) is None
    assert socket_file_id(endpoint("tcp://127.0.0.1:21")) is None


def test_a_folder_that_is_gone_is_no_error(tmp_path: pathlib.Path) -> None:
    assert not remove_socket_file(_at(tmp_path / "gone" / "s"), (1, 1))
