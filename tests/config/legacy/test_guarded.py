"""Files of somebody who wishes the administrator ill: what is read for him, and how long that may take."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from pathlib import Path

import pytest

from superd.config.files import MAX_BYTES
from superd.config.legacy.carried import LegacyError
from superd.config.legacy.guarded import MAX_LINES, GuardedFiles
from superd.config.legacy.importers import read_all
from superd.config.legacy.report import to_text
from superd.config.legacy.surroundings import MAX_HOSTS, Surroundings, asked_of_few, no_addresses
from superd.config.legacy.wishes import Wishes
from superd.config.legacy.write import to_toml

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for files of others")
STRANGER = pwd.getpwnam("games").pw_uid


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A stranger's folder."""
    path = tmp_path / "home"
    path.mkdir(mode=0o755)
    if os.geteuid() == 0:
        os.chown(path, STRANGER, -1)
    yield path


def strangers_file(path: Path, text: str) -> str:
    path.write_text(text)
    os.chown(path, STRANGER, -1)
    return str(path)


def secret(folder: Path, mode: int = 0o600) -> Path:
    path = folder.parent / "secret"
    path.write_text("root:hash\n")
    path.chmod(mode)
    return path


@as_root
def test_a_strangers_file_leads_to_none_that_he_may_not_read(folder: Path) -> None:
    files = GuardedFiles()
    files.named(strangers_file(folder / "conf", ""))
    with pytest.raises(LegacyError, match="who leads there, may not read it"):
        files.read(str(secret(folder)))


@as_root
def test_nor_does_a_strangers_link(folder: Path) -> None:
    link = folder / "link"
    link.symlink_to(secret(folder))
    os.lchown(link, STRANGER, -1)
    for read in (GuardedFiles().read, GuardedFiles().named):
        with pytest.raises(LegacyError, match="may not read it"):
            read(str(link))


@as_root
def test_a_folder_that_is_closed_to_him_counts_too(folder: Path) -> None:
    files = GuardedFiles()
    files.named(strangers_file(folder / "conf", ""))
    path = secret(folder, 0o644)
    folder.parent.chmod(0o700)
    with pytest.raises(LegacyError, match="may not read it"):
        files.read(str(path))
    with pytest.raises(LegacyError, match="may not read it"):
        files.entries(str(folder.parent))


@as_root
def test_what_he_could_read_himself_is_read(folder: Path) -> None:
    files = GuardedFiles()
    files.named(strangers_file(folder / "conf", ""))
    assert files.read(strangers_file(folder / "more", "mine\n")) == b"mine\n"
    assert "nobody" in files.read("/etc/passwd").decode()


def test_ones_own_files_are_read_whatever_leads_there(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine\n")
    (tmp_path / "a").chmod(0o600)
    (tmp_path / "link").symlink_to("a")
    assert GuardedFiles().read(str(tmp_path / "link")) == b"mine\n"


@pytest.mark.parametrize("name", ["fifo", "/dev/zero", "/dev/tty", "."])
def test_what_a_file_names_is_a_file_and_nobody_waits_for_it(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(LegacyError, match=r"not a regular file|no such device|is a directory"):
        GuardedFiles().read(str(tmp_path / name))


def test_only_so_much_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(b"x" * MAX_BYTES)
    files = GuardedFiles()
    for _ in range(4):
        files.read(str(path))
    with pytest.raises(LegacyError, match="64 MiB"):
        files.read(str(path))
    path.write_bytes(b"\n" * (MAX_LINES + 1))
    with pytest.raises(LegacyError, match="lines"):
        GuardedFiles().read(str(path))
    path.write_bytes(b"x" * (MAX_BYTES + 1))
    with pytest.raises(LegacyError, match="16 MiB"):
        GuardedFiles().named(str(path))


def test_name_servers_are_asked_for_a_few_names_alone() -> None:
    asked: list[str] = []
    lookup = asked_of_few(lambda host: asked.append(host) or ("192.0.2.1",))  # type: ignore[func-returns-value]
    answers = [lookup(f"h{number}") for number in range(MAX_HOSTS + 9)]
    assert lookup("h0") == ("192.0.2.1",)
    assert (len(asked), answers[-1]) == (MAX_HOSTS, ())


# --- what the files say ---


def nothing(path: str) -> bytes:
    raise LegacyError(path, "no such file")


def no_folder(path: str) -> tuple[str, ...]:
    raise LegacyError(path, "no such folder")


EMPTY = Surroundings(nothing, no_folder, lambda name, transport: 0, no_addresses, None)
EVIL = "\x1b]0;owned\x07\x9b2J\u202e"


@pytest.mark.parametrize(
    "text",
    [
        f"# {EVIL}\nssh stream tcp nowait root /a a\n",
        f"ssh stream tcp{EVIL} nowait root /a a\n",
        f"ssh stream tcp nowait {EVIL} /a a\n",
        f"ssh stream tcp nowait root /a a {EVIL}\n",
        f"{EVIL}:ssh stream tcp nowait root /a a\n",
        f"service {EVIL}\n{{\nfoo{EVIL} = 1\nuser = {EVIL}\nenv = A={EVIL}\n}}\n",
        f"include /{EVIL}\nservice a\n{{\n}}\n",
        f"[Socket]\nListenStream={EVIL}\nFoo{EVIL}=1\n",
        f'a on protocol = tcp, user = "{EVIL}", wait = no, exec = /a;\n',
    ],
)
def test_nothing_that_a_terminal_obeys_is_shown_or_written(text: str) -> None:
    made = read_all({f"/etc/{EVIL}.conf": text.encode()}, EMPTY, Wishes())
    for shown in (*to_text(made), *to_toml(made).split("\n")):
        assert shown.isprintable(), ascii(shown)


@pytest.mark.parametrize(
    "text",
    [
        b"service a\n{\n" + b"include x\n" * 20_000 + b"}\n",
        b"service a\n{\n" + b"only_from += 10.0.0.0 10.0.0.1\n" * 5_000 + b"}\n",
        b"a on protocol = tcp;" * 5_000,
        b"a on protocol = tcp\n" * 5_000,
        b"#<off># ftp stream tcp nowait root /a a\n" * 2_000,
        b",".join(b"127.0.%d.%d" % divmod(number, 250) for number in range(10_000))
        + b":80 stream tcp nowait root /a a\n",
        b"ssh stream " + b"x" * 1_000_000 + b" nowait root /a a\n",
        b"a:" * 100_000 + b" stream tcp nowait root /a a\n",
        b"service a\n{\nonly_from = 10.{" + b"1" * 7_000 + b"}\n}\n",
    ],
    ids=range(9),
)
def test_no_file_makes_one_wait_for_hours(text: bytes) -> None:
    """Each took minutes, or more memory than there is, when every line looked through all the others."""
    made = read_all({"f": text}, EMPTY, Wishes())
    size = len(to_toml(made)) + sum(map(len, to_text(made)))
    assert size < 200 * len(text)
