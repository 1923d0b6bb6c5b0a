"""Any bytes as xinetd.conf: what is written is a configuration that superd takes, or the file is refused in words."""

from __future__ import annotations

import pytest
from helpers.corpus import corpus_file
from helpers.imports import imported, surroundings
from hypothesis import example, given, settings
from hypothesis import strategies as st

from superd.config.legacy.carried import LegacyError
from superd.config.legacy.xinetd.attributes import ATTRIBUTES, FLAGS, TYPES

_VALUES = ("yes", "no", "tcp", "udp", "stream", "dgram", "root", "/bin/cat", "7000", "10.0.0.0", "::/0", "1.2.{3,4}",
           "10M", "UNLIMITED", "8:00-18:00", "A=1", "#", "}", '"', "SYSLOG", "daemon", "FILE", "localhost", "-1",
           "\x00", "é", "127.0.0.1", *TYPES, *FLAGS)  # fmt: skip

_values = st.lists(st.sampled_from(_VALUES) | st.text(max_size=6), max_size=4).map(" ".join)
_setting = st.builds(
    "{} {} {}".format, st.sampled_from(sorted(ATTRIBUTES)), st.sampled_from(["=", "+=", "-="]), _values
)
_frame = st.sampled_from(
    ["service a", "service b {", "defaults", "{", "}", "include /x/y", "includedir /x", "# comment", "", "é"]
)
_lines = st.lists(_frame | _setting, max_size=25).map("\n".join)
_MACHINE = surroundings({"/x/y": "service c\n{\nport = 1\n}\n", "/x/z.conf": "", "/x/w": "includedir /x\n"})


def _import(content: bytes) -> None:
    try:
        found = imported(content, machine=_MACHINE)
    except LegacyError:
        return
    assert found.config.files


@settings(max_examples=400, deadline=None)
@given(_lines)
@example(
    "service a\n{\nflags = NAMEINARGS\nserver_args = x\nserver = /b\nport = 1\nwait = no\ntype = UNLISTED\n}"
)
def test_any_stanzas(text: str) -> None:
    _import(("service s\n{\n" + text).encode(errors="replace"))


_block = st.lists(_setting, max_size=8).map("\n".join)


@settings(max_examples=400, deadline=None)
@given(_block, st.lists(_block, max_size=3))
def test_any_settings(defaults: str, services: list[str]) -> None:
    usual = "server = /b\nuser = u\nwait = no\nsocket_type = stream\ntype = UNLISTED\nport = 1"
    blocks = [f"service s\n{{\n{block}\n{usual}\n}}\n" for block in services]
    _import(f"defaults\n{{\n{defaults}\n}}\n{''.join(blocks)}".encode(errors="replace"))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes(content: bytes) -> None:
    _import(b"defaults\n{\n}\n" + content)
    _import(content)


_REAL = corpus_file("xinetd/index.tsv")


@pytest.mark.skipif(_REAL is None, reason="the collection of real files is not here")
@settings(max_examples=200, deadline=None)
@given(st.data())
def test_real_files_with_changes(data: st.DataObject) -> None:
    assert _REAL
    path = data.draw(
        st.sampled_from(sorted(path for path in _REAL.parent.iterdir() if path.suffix != ".tsv"))
    )
    content = path.read_bytes()
    at = data.draw(st.integers(0, len(content)))
    _import(content[:at] + data.draw(st.binary(max_size=5)) + content[at + data.draw(st.integers(0, 20)) :])
