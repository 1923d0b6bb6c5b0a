"""Who may come, by address: the most specific match of both lists decides, and a tie denies.

Nothing is looked up here. A host name stands for the addresses that were last found for it, each as specific as an
address can be; before there are any it admits nobody and denies nobody. A client is never asked for its name, since
whoever holds the reverse zone of an address may write there what he likes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from attrs import frozen

from superd.policy.networks import Network, NetworkTable, read_network
from superd.policy.spellings import WORDS, explain

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST_NAME = re.compile(rf"(?:{_LABEL}\.)*(?![0-9]+\Z|0[xX][0-9A-Fa-f]*\Z){_LABEL}")
_MAX_HOST_NAME = 253  # characters


@frozen
class Verdict:
    """Whether an address may come, and the line that says so.

    Args:
        allowed: it may.
        rule: ``deny "192.0.2.66"``, ``allow "192.0.2.0/24"``, ``no allow matches`` or ``nothing denies``.
    """

    allowed: bool
    rule: str


def is_host_name(text: str) -> bool:
    """Whether it has the form of a host name, and of no number: ``127.1`` and ``0x7f.0x1`` are addresses to resolvers.

    Source: RFC 1123, 2.1; RFC 952; inet_aton(3).
    """
    return len(text) <= _MAX_HOST_NAME and _HOST_NAME.fullmatch(text) is not None


def parse_rule(text: str) -> Network | str:
    """One text of ``allow`` or ``deny``: a network, or a host name in small letters.

    Raises:
        UnitError: it is neither; the remedy is what was probably meant.
    """
    network = read_network(text)
    if network is not None:
        return network
    if is_host_name(text) and text.upper() not in WORDS:
        return text.lower()
    raise explain(text, parse_rule, names=True)


class AccessList:
    """``allow`` and ``deny`` of one service.

    Args:
        allow: addresses, networks and host names; empty: everyone who is not denied.
        deny: the same; empty: nobody.

    Raises:
        UnitError: one of them is none of these.
    """

    def __init__(self, allow: Sequence[str], deny: Sequence[str]) -> None:
        rules = [(parse_rule(text), Verdict(True, f'allow "{text}"')) for text in allow]
        rules += [(parse_rule(text), Verdict(False, f'deny "{text}"')) for text in deny]
        # in both dicts a denial replaces what allows the same
        networks = {place: verdict for place, verdict in rules if isinstance(place, Network)}
        self._names = {place: verdict for place, verdict in rules if isinstance(place, str)}
        self._otherwise = Verdict(False, "no allow matches") if allow else Verdict(True, "nothing denies")
        self._networks: NetworkTable[Verdict] = NetworkTable()
        for network in sorted(networks, key=Network.order):
            self._networks.add(network, networks[network])
        self._denied = {
            (one.version, one.value) for one in networks if one.is_single and not networks[one].allowed
        }
        self._addresses: dict[str, frozenset[tuple[int, int]]] = {}
        self._four: dict[int, Verdict] = {}  # of the addresses that names have
        self._six: dict[int, Verdict] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The host names whose addresses it must be told."""
        return tuple(self._names)

    def resolved(self, name: str, addresses: Iterable[tuple[int, int]]) -> None:
        """Take the addresses that a name has now, in place of those it had.

        Args:
            name: one of ``names``.
            addresses: version and value of each; none: it has none any more.
        """
        known = frozenset(addresses)
        if self._addresses.get(name) != known:
            self._addresses[name] = known
            self._four, self._six = self._of_names(4), self._of_names(6)

    def _of_names(self, version: int) -> dict[int, Verdict]:
        """The verdict of each address of a name, but where the address itself is denied."""
        verdicts: dict[int, Verdict] = {}
        for name, verdict in sorted(self._names.items(), key=_denials_last):
            known = self._addresses.get(name, frozenset()) - self._denied
            verdicts.update((value, verdict) for kind, value in known if kind == version)
        return verdicts

    def verdict(self, version: int, value: int) -> Verdict:
        """Whether an address may come. Costs two look-ups and makes nothing.

        Args:
            version, value: as ``parse_address`` tells them, so that IPv4 is never in the clothes of IPv6.
        """
        named = self._four if version == 4 else self._six
        return named.get(value) or self._networks.lookup(version, value) or self._otherwise


def _denials_last(item: tuple[str, Verdict]) -> bool:
    return not item[1].allowed
