"""IPAddressAllow= and IPAddressDeny= as ``[access]``. Source: systemd.resource-control(5), systemd 252."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_network

from superd.config.legacy.systemd.units import Unit
from superd.config.legacy.systemd.words import WordError

ALLOW, DENY = "IPAddressAllow", "IPAddressDeny"

_EVERYBODY = ("0.0.0.0/0", "::/0")
_WORDS = {
    "any": _EVERYBODY,
    "localhost": ("127.0.0.0/8", "::1"),
    "link-local": ("169.254.0.0/16", "fe80::/64"),
    "multicast": ("224.0.0.0/4", "ff00::/8"),
}


def rules_of(units: Iterable[tuple[Unit, str]]) -> dict[str, object]:
    """The keys of ``[access]`` by dotted name; none when nobody is kept away.

    What is allowed is never denied to systemd; to superd the more specific item decides. So that nobody is let in
    whom systemd keeps away, and where it denies everybody, the two mean the same.

    Args:
        units: each with the section that may hold them.

    Raises:
        WordError: a word is no network.
    """
    both = list(units)
    allow, deny = _networks(both, ALLOW), _networks(both, DENY)
    if not deny:
        return {}
    if set(_EVERYBODY) <= set(deny):
        keys: dict[str, object] = {"access.allow": allow} if allow else {"enabled": False}
        return keys
    return {"access.deny": deny}


def _networks(units: Iterable[tuple[Unit, str]], name: str) -> list[str]:
    words = [word for unit, section in units for one in unit.all(section, name) for word in one.value.split()]
    return list(dict.fromkeys(text for word in words for text in _network(word)))


def _network(word: str) -> tuple[str, ...]:
    if word in _WORDS:
        return _WORDS[word]
    try:
        network = ip_network(word, strict=False)
    except ValueError:
        raise WordError(f"{word} is no network") from None
    single = network.prefixlen == network.max_prefixlen
    return (str(network.network_address) if single else str(network),)
