"""The third field of a rule: options of hosts_options(5), of which superd obeys ``allow`` and ``deny``."""

from __future__ import annotations

import re

from superd.policy.hosts_access.hosts import Note, Weight, pack6
from superd.policy.hosts_access.lines import list_groups
from superd.policy.hosts_access.texts import fold

_split_options = re.compile(r"(?<!\\):").split
_split_value = re.compile(r"[ \t\r\n]*[= \t\r\n][ \t\r\n]*").split
_BLANKS = " \t\r\n\v\f"
_PLAIN = 'write nothing, "allow" or "deny" behind the clients'
_NO_COMMANDS = "superd runs no command for a rule; "
_REMEDIES = {
    "user": "write user in superd's configuration",
    "group": 'write user = "name:group" in superd\'s configuration',
    "umask": "write umask in superd's configuration",
    "linger": "leave it out",
    "keepalive": "write socket.keep_alive in superd's configuration",
    "aclexec": f'{_NO_COMMANDS}write the addresses with "allow" or "deny"',
    "spawn": f"{_NO_COMMANDS}leave it out, and watch superd's log",
    "twist": f'{_NO_COMMANDS}write "deny" here and access.banner_denied in superd\'s configuration',
    "rfc931": "superd asks no ident; leave it out",
    "setenv": "write environment in superd's configuration",
    "nice": "write nice in superd's configuration",
    "severity": "superd logs every refusal; leave it out",
    "banners": "write access.banner_denied in superd's configuration",
}
_OBEYED = ("allow", "deny")
_KNOWN = {*_REMEDIES, *_OBEYED}


def read_options(field: str, *, grants: bool) -> tuple[bool, list[tuple[str, Note]]]:
    """Whether a rule with these options grants, and what is wrong with which of them.

    Args:
        field: all behind the second colon.
        grants: what the rule does without options.
    """
    options = [option.strip(_BLANKS) for option in _split_options(field)]
    keys = [fold(_split_value(option, 1)[0]) for option in options]
    if keys[0] not in _KNOWN and _looks_like_ipv6(field):
        return grants, [(field.strip(_BLANKS), _IPV6)]
    judged = [(option, _judge(option, key)) for option, key in zip(options, keys, strict=True)]
    notes = [(option, note) for option, note in judged if note is not None]
    notes += [(option, _NOT_LAST) for option, key in zip(options[:-1], keys, strict=False) if key in _OBEYED]
    return (keys[-1] == "allow" if keys[-1] in _OBEYED else grants), notes


def _judge(option: str, key: str) -> Note | None:
    if key in _REMEDIES:
        return Note(Weight.FAULT, "an option that superd does not obey", _REMEDIES[key])
    if key not in _OBEYED:
        return _refusing("not an option" if key else "an empty option")
    return _refusing("takes no value") if any(_split_value(option, 1)[1:]) else None


def _refusing(problem: str) -> Note:
    """A mistake for which libwrap jumps out of the evaluation and refuses."""
    return Note(Weight.FAULT, f"{problem}: tcpd refuses whom the rule matches", _PLAIN)


_NOT_LAST = _refusing("options behind it")
_IPV6 = Note(Weight.FAULT, "not an option", "write an IPv6 address between brackets, [2001:db8::1]")


def _looks_like_ipv6(field: str) -> bool:
    """Whether the colon before the options may be one in an address, which would go on in there."""
    ends = [word.partition("/")[0] for word in list_groups(field)[0]]
    return any(pack6(f"1:{end}") is not None for end in ends)
