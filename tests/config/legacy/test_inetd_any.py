"""Whatever the bytes: a file is imported, or the importer's own error says why not."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st

from superd.config.legacy.carried import LegacyError
from superd.config.legacy.importers import read_all
from superd.config.legacy.inetd.dialects import DIALECTS
from superd.config.legacy.report import to_json, to_text
from superd.config.legacy.surroundings import Surroundings
from superd.config.legacy.wishes import Wishes
from superd.config.legacy.write import to_toml
from superd.config.load import load


def no_file(path: str) -> bytes:
    raise LegacyError(path, "no such file")


def no_folder(path: str) -> tuple[str, ...]:
    raise LegacyError(path, "no such folder")


NOWHERE = Surroundings(no_file, no_folder, lambda name, transport: 0, lambda host: (), None)

TEXTS = """
ftp stream dgram raw tcp udp tcp6 tcp46 tcp6only unix rpc/udp wait nowait nowait.400 nowait/30/10/5 nowait:5 root
nobody.tty www:www/daemon /usr/sbin/tcpd in.ftpd internal /bin/cat cat -l 127.0.0.1: *: [::1]:ssh ::1:444 a.b.c
tcpmux/+date :www:www:660:/run/app.sock #<off># #@ ## .include "x" on off = , ; protocol exec args bind 'a b' \\x41
tcp,sndbuf=64k stream:dataready
"""
WORDS = TEXTS.split()
LINE = st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join)
TEXT = st.lists(st.one_of(LINE, LINE.map("\t{}".format), st.text(max_size=30)), max_size=8).map("\n".join)
CONTENT = st.one_of(st.binary(max_size=300), TEXT.map(lambda text: text.encode("utf-8", "replace")))


@given(CONTENT, st.sampled_from(["", *DIALECTS]), st.booleans())
def test_only_the_importers_own_error_escapes(content: bytes, dialect: str, faithful: bool) -> None:
    try:
        made = read_all({"old.conf": content}, NOWHERE, Wishes(dialect=dialect, faithful=faithful))
    except LegacyError:
        return
    text = to_toml(made)
    config = load("-", system=False, stdin=io.StringIO(text))
    assert list(config.services) == [service.name for service in made.served]
    assert list(to_text(made))
    assert to_json(made)
