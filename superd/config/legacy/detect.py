"""What kind of file is this? By its content, since names say little."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from enum import StrEnum

from superd.config.legacy.carried import LegacyError


class Kind(StrEnum):
    """Whose file it is."""

    SUPERD = "superd.toml"
    INETD = "inetd.conf"
    XINETD = "xinetd.conf"
    UNIT = "systemd unit"
    AUTHBIND = "authbind folder"


_TYPES = r"(?:stream|dgram|raw|rdm|seqpacket|sunrpc_\w+|tli)"
_SUPERD = re.compile(rb"^[ \t]*\[[ \t]*(?:\[[ \t]*grants|superd|services|defaults|override)\b", re.M)
_UNIT = re.compile(rb"^\[(?:Unit|Socket|Service|Install)\][ \t]*\r?$", re.M)
_XINETD = re.compile(
    rb"^[ \t]*(?:service[ \t]+[^\s=]+|defaults)[ \t\r]*(?:#[^\n]*)?(?:\n\s*(?:#[^\n]*\n\s*)*)?\{", re.M | re.I
)
_XINETD_INCLUDE = re.compile(rb"^[ \t]*include(?:dir)?[ \t]+/\S+[ \t]*\r?$", re.M)
_INETD = re.compile(
    rb"^\S+[ \t]+" + _TYPES.encode() + rb"(?:[:,]\w+)*[ \t]+[a-z]+[^ \t\n]*[ \t]+\S"  # a service
    rb"|^\S+[ \t]+o(?:n|ff)[ \t]*(?:\r?$|[#;]|\w+[ \t]*=)"  # NetBSD's other notation
    rb'|^\.include[ \t]+"',
    re.M,
)
_OFF = re.compile(rb"^#(?:<off>#[ \t]*|[ \t]*)\S+[ \t]+" + _TYPES.encode() + rb"[ \t]+[a-z]", re.M)
_SAYS_SOMETHING = re.compile(rb"^[ \t]*[^#\s]", re.M)
_AUTHBIND = frozenset({"byport", "byaddr", "byuid"})


def detect(content: bytes) -> Kind | None:
    """What a file is; None when nothing tells.

    superd's own files come first, and no other daemon's line is valid TOML, so that a fault in superd.toml never
    makes it anything else.

    Args:
        content: of the file.
    """
    kinds = (
        (Kind.SUPERD, (_SUPERD,)),
        (Kind.UNIT, (_UNIT,)),
        (Kind.XINETD, (_XINETD, _XINETD_INCLUDE)),
        (Kind.INETD, (_INETD, _OFF)),
    )
    return next((kind for kind, signs in kinds if any(sign.search(content) for sign in signs)), None)


def is_authbind(names: Collection[str]) -> bool:
    """Whether a folder with these entries is authbind's."""
    return not _AUTHBIND.isdisjoint(names)


def importable(file: str, content: bytes, usual: Kind | None = None) -> Kind:
    """What a file is, if it can be imported.

    Args:
        file: its name.
        content: what is in it.
        usual: what it is if nothing tells.

    Raises:
        LegacyError: it is superd's own, or nobody's that superd knows.
    """
    kind = detect(content) or usual or _by_name(file, content)
    if kind is Kind.SUPERD:
        raise LegacyError(file, "superd's own configuration already", f"run it: superd -f {file}")
    if kind is None:
        raise LegacyError(
            file, "neither inetd.conf, xinetd.conf nor a systemd unit", "name what it is: --dialect NAME"
        )
    return kind


def _by_name(file: str, content: bytes) -> Kind | None:
    """What a file of comments alone must be; None when there is more in it."""
    if _SAYS_SOMETHING.search(content):
        return None
    name = os.path.basename(file)
    return Kind.XINETD if "xinetd" in name else Kind.INETD
