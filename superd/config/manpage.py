"""superd.toml(5), rendered from the table of keys and the prose beside it: ``python -m superd.config.manpage``.

The page is committed, and a test holds it equal to this rendering.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

from superd.config.keys import Key
from superd.config.prose import CHILD, HEAD, TAIL
from superd.config.prose_builtins import BUILTINS
from superd.config.prose_forward import FORWARDS
from superd.config.prose_grants import GRANTS_INTRO
from superd.config.prose_policy import DECISIONS, INTROS
from superd.config.prose_sandbox import PROFILES as PROFILES_PROSE
from superd.config.prose_sandbox import SANDBOX
from superd.config.sandbox import ALL_CAPABILITIES, PROFILES, Profile
from superd.config.schema import LIMIT_PREFIX, NESTED, SERVICE, TABLES
from superd.config.schema_grants import GRANT
from superd.policy.reason import MEANINGS, Reason

EXAMPLE = """\
[superd]
log = "journal"
include = ["superd.d/*.toml"]

[defaults]
runtime_max = "1h"

[services.daytime]
listen = ["tcp://*:daytime"]
exec = ["/bin/date"]
user = "daemon"

[services.daytime.limits]
rate_per_source = "60/min"
burst_per_source = 10
penalty = "30s"

[services.daytime.access]
allow = ["192.0.2.0/24", "2001:db8::/32"]
deny = ["192.0.2.66"]

[services.tftp]
listen = ["udp://192.0.2.1:69"]
mode = "wait"
exec = ["/usr/sbin/in.tftpd", "--secure", "/srv/tftp"]
user = "root"
limit_nofile = 64

[services.tftp.socket]
receive_buffer = "1MiB"
"""
"""The whole configuration that the page shows."""

_RESOURCES_INTRO = r"""
The resources of each child, as in
.Xr setrlimit 2 .
One value sets the soft and the hard limit,
.Li \(dqsoft:hard\(dq
both;
.Li \(dqinfinity\(dq
lifts one.
What is not given is as superd has it.
"""


def render() -> str:
    """The page in mdoc(7)."""
    head = HEAD.replace("@EXAMPLE@", _escape(EXAMPLE.strip())).replace("@TABLES@", _lines(_tables()))
    decisions = DECISIONS.replace("@REASONS@", _lines(_reasons()))
    profiles = PROFILES_PROSE.replace("@ROWS@", _lines(_profiles()))
    parts = (head, *_sections(), profiles, decisions, FORWARDS, BUILTINS, CHILD, TAIL)
    return "".join(part.strip() + "\n" for part in parts)


def _lines(lines: Iterable[str]) -> str:
    return "\n".join(lines)


def _tables() -> Iterator[str]:
    for nested in NESTED:
        yield f".It Ic [services. Ns Ar NAME Ns Ic .{nested.name}]"
        yield from _sentences(nested.about)


def _reasons() -> Iterator[str]:
    for reason in Reason:
        yield f".It Li {reason}"
        yield from _sentences(MEANINGS[reason])


def _sections() -> Iterator[str]:
    service = TABLES[SERVICE].values()
    yield _section("THE TABLE [superd]", "", TABLES["superd"].values())
    yield _section("KEYS OF A SERVICE", "", (key for key in service if not key.name.startswith(LIMIT_PREFIX)))
    resources = (key for key in service if key.name.startswith(LIMIT_PREFIX))
    yield _section("RESOURCES OF A CHILD", _RESOURCES_INTRO, resources)
    for nested in NESTED:
        intro = SANDBOX if nested.name == "sandbox" else INTROS.get(nested.name, "")
        yield _section(nested.title, intro, TABLES[nested.name].values())
    yield _section("GRANTS", GRANTS_INTRO, TABLES[GRANT].values())


_COLUMNS = (Profile.NONE, Profile.DEFAULT, Profile.STRICT)
_LIFTED_FOR_ROOT = ("no_new_privileges", "capability_bounding_set")


def _profiles() -> Iterator[str]:
    """A row for each key of the sandbox about which the profiles differ."""
    for key in PROFILES[Profile.NONE]:
        values = [PROFILES[profile][key] for profile in _COLUMNS]
        if len(set(map(str, values))) > 1:
            none, default, strict = map(_told, values)
            default += ", for root " + none if key in _LIFTED_FOR_ROOT else ""
            yield f".It Ic {key} Ta {none} Ta {default} Ta {strict}"


def _told(value: object) -> str:
    """A value of a profile, in few words."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "all" if value == ALL_CAPABILITIES else _escape(" ".join(value)) or "none"
    return str(value)


def _section(title: str, intro: str, keys: Iterable[Key]) -> str:
    items = (line for key in keys for line in _item(key))
    return _lines([f".Sh {title}", *intro.strip().splitlines(), ".Bl -tag -width Ds", *items, ".El"])


def _item(key: Key) -> Iterator[str]:
    yield f".It Ic {key.name} No = Ar {_macro_words(key.kind.word)}"
    yield from _sentences(key.meaning)
    if key.needs:
        yield from _sentences(f"Only for {' with '.join(need.words for need in key.needs)}.")
    if key.default:
        yield f"Default: {_escape(key.default)}."


def _macro_words(text: str) -> str:
    """Arguments of a macro: a word that mdoc would take for a macro or a delimiter is kept a word."""
    return " ".join(rf"\&{_escape(word)}" for word in text.split())


def _sentences(text: str) -> Iterator[str]:
    """One a line, as mdoc wants it; none begins with what roff takes for a request."""
    for sentence in text.replace(". ", ".\n").split("\n"):
        yield rf"\&{_escape(sentence)}" if sentence[0] in ".'" else _escape(sentence)


def _escape(text: str) -> str:
    return text.replace("\\", r"\e").replace('"', r"\(dq").replace("-", r"\-")


if __name__ == "__main__":
    sys.stdout.write(render())
