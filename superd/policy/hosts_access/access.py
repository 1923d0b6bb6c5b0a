"""The decision about a connection."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from superd.config.findings import toml_text
from superd.errors import Fault
from superd.policy.access import Verdict
from superd.policy.hosts_access.daemons import daemons_match
from superd.policy.hosts_access.hosts import Address, Endpoint, hosts_match
from superd.policy.hosts_access.rules import NameUse, Ports, Rule, Rules
from superd.policy.hosts_access.texts import fold
from superd.policy.networks import address_text

_NO_RULE = Verdict(True, "no rule of hosts.allow and hosts.deny matches")
_NO_ADDRESS = {
    True: "no address is known for this name: it admits nobody",
    False: "no address is known for this name: it keeps nobody out",
}


class HostsAccess:
    """Both files, and the addresses of the host names in them, as far as they are known.

    Args:
        allow: what hosts.allow says.
        deny: what hosts.deny says.
    """

    def __init__(self, allow: Rules, deny: Rules) -> None:
        self._files = (allow, deny)
        self._named: dict[str, frozenset[Address]] = {}
        self._tables: dict[frozenset[str], tuple[_Table, _Table]] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Every host name in both files, for looking up its addresses."""
        return tuple(dict.fromkeys(name for rules in self._files for name in rules.names))

    def names_for(self, daemons: Collection[str], ports: Ports = None) -> tuple[str, ...]:
        """The host names in the rules that may concern a daemon."""
        return tuple(dict.fromkeys(use.name for use in self._uses(daemons, ports)))

    def resolved(self, name: str, addresses: Sequence[Address]) -> None:
        """Take in all addresses that a name of ``Rules.names`` has now, in place of those it had."""
        self._named[fold(name)] = frozenset(addresses)

    def unresolved(self, daemons: Collection[str], ports: Ports = None) -> tuple[Fault, ...]:
        """The host names without an address in the rules that may concern a daemon, as warnings."""
        return tuple(
            Fault(
                use.file, f"line {use.line}", _NO_ADDRESS[use.admits], "write addresses", toml_text(use.name)
            )
            for use in self._uses(daemons, ports)
            if not self._named.get(use.name)
        )

    def _uses(self, daemons: Collection[str], ports: Ports) -> Iterator[NameUse]:
        for rules in self._files:
            yield from rules.uses_for(daemons, ports)

    def verdict(
        self,
        daemons: Collection[str],
        version: int,
        value: int,
        local_version: int,
        local_value: int,
        local_port: int | None = None,
    ) -> Verdict:
        """Decide about one connection.

        Args:
            daemons: the names that the service is known by; the same for all its connections.
            version, value: the client's address; IPv4-mapped IPv6 is IPv4.
            local_version, local_value: the address that it connected to.
            local_port: the port; None: not known, so that a rule which asks for one may refuse but does not admit.
        """
        key = frozenset(daemons)
        tables = self._tables.get(key)
        if tables is None:
            allow, deny = self._files
            tables = self._tables[key] = (_Table(allow, key), _Table(deny, key))
        client = Endpoint(version, value, address_text(version, value), self._named)
        local = Endpoint(local_version, local_value, address_text(local_version, local_value), self._named)
        for table in tables:
            verdict = table.verdict(client, local, local_port)
            if verdict is not None:
                return verdict
        return _NO_RULE


class _Table:
    """The rules of a file that may concern one daemon, made for asking often.

    Lists of thousands of addresses and networks are common: programs that ban attackers write them. So rules that
    name nothing else are found by the bits of the address, once for each mask in use; the rest are tried in order.
    """

    def __init__(self, rules: Rules, daemons: frozenset[str]) -> None:
        self._daemons = daemons
        self._rules: list[Rule] = []
        self._nets: dict[int, dict[int, dict[int, int]]] = {4: {}, 6: {}}
        self._verdicts: dict[int, Verdict] = {}
        self._others: list[tuple[int, Rule, bool]] = []
        for index, (rule, must) in enumerate(rules.foreseen(daemons)):
            self._rules.append(rule)
            certain = must or bool(rule.faults)
            nets = rule.nets() if certain else None
            if nets is None:
                self._others.append((index, rule, certain))
            else:
                for net in nets:
                    self._nets[net.version].setdefault(net.mask, {}).setdefault(net.net, index)

    def verdict(self, client: Endpoint, local: Endpoint, port: int | None) -> Verdict | None:
        """What the first rule that matches says; None when none does."""
        index = self._first(client, local, port)
        if index is None:
            return None
        verdict = self._verdicts.get(index)
        if verdict is None:
            rule = self._rules[index]
            verdict = self._verdicts[index] = Verdict(rule.grants, str(rule))
        return verdict

    def _first(self, client: Endpoint, local: Endpoint, port: int | None) -> int | None:
        value, end = client.value, len(self._rules)
        found = min(
            [nets.get(value & mask, end) for mask, nets in self._nets[client.version].items()], default=end
        )
        for index, rule, certain in self._others:
            if index > found:
                break
            if hosts_match(rule.clients, client) and (
                certain or daemons_match(rule.daemons, self._daemons, local, port, grants=rule.grants)
            ):
                return index
        return None if found == end else found
