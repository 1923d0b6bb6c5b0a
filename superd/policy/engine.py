"""Who is admitted: the decisions of one service. Pure: no socket, no clock, no file.

The order is fixed: access (address, hosts.allow and hosts.deny, hours), the PROXY header if one is due, access again
with the real client, penalties, load, the source's limits, the service's, the total. Nothing is taken from any bucket
until everything admits. So whoever is refused costs the others nothing.

Times are nanoseconds of any clock that never goes back. What changes by itself, load and hours, is told to the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from superd.policy.access import AccessList, Verdict
from superd.policy.buckets import Bucket, SourceBuckets
from superd.policy.decision import ADMITTED, REFUSED, UNIX, Client, Decision, Total
from superd.policy.networks import Network, NetworkTable, parse_network, source_key, source_network
from superd.policy.outcome import Outcome
from superd.policy.penalties import Ban, Penalties
from superd.policy.reason import Reason
from superd.policy.rules import UNLIMITED, Access, Limits, OnExcess, ProxyProtocol, Rate
from superd.policy.tally import Busiest, Tally

NEVER = -1
"""Instead of a time: only an event (an end, a changed load) can help."""

PLENTY = 1 << 30
"""Room where nothing is queued."""

_UNIX_KEY = 1 << 140  # above every key of an address

_NO_LISTS = AccessList((), ())
"""It never changes, since it has no names: of a thousand services most have this one."""


class Engine:
    """Decides for one service.

    Args:
        limits, access, proxy_protocol: what the administrator decided.
        total: shared with the other services' engines.
    """

    def __init__(self, limits: Limits, access: Access, proxy_protocol: ProxyProtocol, total: Total) -> None:
        self.total = total
        self.hours_closed = ""
        """Why nobody is admitted at this hour; empty while the hours admit. The owner keeps it up to date."""
        self.ask_hosts: Callable[[Client], Verdict] | None = None
        """What hosts.allow and hosts.deny say of a client, where the service asks them."""
        self.tally = Tally()
        self.busiest = Busiest()
        self._lists: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
        self.access = _NO_LISTS
        self._admitted: dict[int, Client] = {}
        self._exempted: set[int] = set()
        self._per_source: dict[int, int] = {}
        self._tat = 0
        self._sources: SourceBuckets | None = None
        self._bucket: Bucket | None = None
        self._penalties = Penalties(limits, limits.max_sources)
        self.limits = limits
        self._set(limits, access, proxy_protocol, 0)

    # --- the administrator ---

    def retune(self, limits: Limits, access: Access, proxy_protocol: ProxyProtocol, now: int) -> None:
        """Other rules from now on. What was taken stays taken, and who is penalised stays so.

        With another ``source_prefix`` the sources are others, so all that is known of them begins anew.
        """
        same_sources = _prefixes(limits) == _prefixes(self.limits)
        if not same_sources:
            self._sources = None
            self._penalties = Penalties(limits, limits.max_sources)
            self.busiest = Busiest()
        self._set(limits, access, proxy_protocol, now)
        if not same_sources:
            self._count_sources()

    def _set(self, limits: Limits, access: Access, proxy_protocol: ProxyProtocol, now: int) -> None:
        self.limits, self.access_rules, self.proxy_protocol = limits, access, proxy_protocol
        lists = access.allow, access.deny
        if lists != self._lists:
            self._lists, self.access = lists, AccessList(*lists) if any(lists) else _NO_LISTS
        self._filters = bool(access.allow or access.deny)
        self._exempt = _table(limits.exempt)
        self._trusted = _table(proxy_protocol.accept_from)
        self._penalties.retune(limits, limits.max_sources)
        # with neither a penalty that can come nor one that is being served, nobody need be looked up
        self._punishes = bool(
            limits.penalty_s or limits.penalty_failed_s or limits.penalty_crashed_s or len(self._penalties)
        )
        self._bucket, old = _bucket(limits.rate, limits.burst), self._bucket
        if self._bucket is None:
            self._tat = 0  # it counts in ticks of its own bucket, and means nothing to the next one
        elif old is not None:
            self._tat = old.converted(self._tat, now, self._bucket)
        of_source = _bucket(limits.rate_per_source, limits.burst_per_source)
        if of_source is None:
            self._sources = None
        elif self._sources is None:
            self._sources = SourceBuckets(of_source, limits.max_sources)
        else:
            self._sources = self._sources.converted(now, of_source, limits.max_sources)

    def _count_sources(self) -> None:
        self._per_source.clear()
        for client in self._admitted.values():
            if client.id not in self._exempted:
                self._add(self.key(client), 1)

    # --- deciding ---

    def expects_header(self, version: int, value: int) -> bool:
        """Whether connections from an address begin with a PROXY header."""
        return self._trusted is not None and self._trusted.lookup(version, value) is not None

    def offer(self, client: Client, now: int) -> Decision:
        """Decide about a client, and count it as open if it is admitted."""
        key = self.key(client)
        decision = self.ask_access(client)
        if decision.reason is None:
            decision = self._ask_limits(client, key, now)
        if decision.reason is not None:
            self.tally.add(decision.reason, now)
        self.busiest.add(key, now)
        return decision

    def glance(self, client: Client, now: int) -> Decision:
        """Decide about the datagram that would wake an instance: access and its source's limits, nothing is open."""
        decision = self.ask_access(client)
        if decision.reason is None and not self._is_exempt(client):
            key = self.key(client)
            reason = self._excess_of_source(key, now)
            if reason is not None:
                decision = REFUSED[reason]
            elif self._sources is not None:
                self._sources.take(key, now)
        if decision.reason is not None:
            self.tally.add(decision.reason, now)
        return decision

    def refuse(self, reason: Reason, now: int) -> Decision:
        """Count a refusal that was decided elsewhere (a PROXY header, a datagram that would loop)."""
        self.tally.add(reason, now)
        return REFUSED[reason]

    def ask_access(self, client: Client) -> Decision:
        """What ``[access]`` alone says of a client; nothing is counted."""
        if self._filters and client.version != UNIX:
            verdict = self.access.verdict(client.version, client.value)
            if not verdict.allowed:
                return Decision(Reason.ADDRESS, verdict.rule)
        if self.ask_hosts is not None and client.version != UNIX:
            verdict = self.ask_hosts(client)
            if not verdict.allowed:
                return Decision(Reason.HOSTS_ACCESS, verdict.rule)
        return Decision(Reason.HOURS, self.hours_closed) if self.hours_closed else ADMITTED

    def _ask_limits(self, client: Client, key: int, now: int) -> Decision:
        if self._exempt is not None and self._is_exempt(client):
            if self.total.is_full:
                return REFUSED[Reason.TOTAL_CONNECTIONS]
            self._exempted.add(client.id)
        else:
            reason = self._excess_of_source(key, now) or self._excess(now)
            if reason is not None:
                return REFUSED[reason]
            self._take(key, now)
        self._admitted[client.id] = client
        self.total.open += 1
        return ADMITTED

    def _excess_of_source(self, key: int, now: int) -> Reason | None:
        limits, sources = self.limits, self._sources
        if self._punishes and self._penalties.is_penalised(key, now):
            return Reason.PENALTY
        if 0 <= limits.max_load < self.total.load:
            return Reason.LOAD
        if 0 <= limits.max_connections_per_source <= self._per_source.get(key, 0):
            return Reason.SOURCE_CONNECTIONS
        if sources is not None and not sources.admits(key, now):
            self._penalties.went_over(key, now)
            return Reason.SOURCE_RATE
        return None

    def _excess(self, now: int) -> Reason | None:
        if 0 <= self.limits.max_connections <= len(self._admitted) - len(self._exempted):
            return Reason.CONNECTIONS
        if self._bucket is not None and not self._bucket.admits(self._tat, now):
            return Reason.RATE
        total = self.total
        return Reason.TOTAL_CONNECTIONS if 0 <= total.most <= total.open else None

    def _take(self, key: int, now: int) -> None:
        self._per_source[key] = self._per_source.get(key, 0) + 1
        if self._sources is not None:
            self._sources.take(key, now)
        if self._bucket is not None:
            self._tat = self._bucket.taken(self._tat, now)

    def _is_overloaded(self) -> bool:
        return 0 <= self.limits.max_load < self.total.load

    def _is_exempt(self, client: Client) -> bool:
        exempt = self._exempt
        if exempt is None or client.version == UNIX:
            return False
        return exempt.lookup(client.version, client.value) is not None

    def key(self, client: Client) -> int:
        """The source that a client belongs to: its address cut to the prefix that counts, or its uid."""
        if client.version == UNIX:
            return _UNIX_KEY | client.value
        limits = self.limits
        return source_key(client.version, client.value, limits.source_prefix_ipv4, limits.source_prefix_ipv6)

    # --- counting ---

    @property
    def open(self) -> int:
        """Connections that are open and count."""
        return len(self._admitted) - len(self._exempted)

    def resume(self, client: Client) -> None:
        """A connection that another engine admitted, before this one was made."""
        if client.id in self._admitted:
            return
        if self._is_exempt(client):
            self._exempted.add(client.id)
        else:
            self._add(self.key(client), 1)
        self._admitted[client.id] = client
        self.total.open += 1

    def ended(self, id_: int, outcome: Outcome, now: int) -> None:
        """An admitted connection is over; an unknown one is not ours."""
        client = self._admitted.pop(id_, None)
        if client is None:
            return
        self.total.open -= 1
        if id_ in self._exempted:
            self._exempted.discard(id_)
            return
        key = self.key(client)
        self._add(key, -1)
        if outcome is Outcome.FAILED:
            self._penalties.failed(key, self.limits.penalty_failed_s, now)
        elif outcome is Outcome.SIGNALLED:
            self._penalties.failed(key, self.limits.penalty_crashed_s, now)

    def close(self) -> None:
        """The service is gone: what is open of it counts no more."""
        self.total.open -= len(self._admitted)
        self._admitted.clear()

    def _add(self, key: int, connections: int) -> None:
        count = self._per_source.get(key, 0) + connections
        if count:
            self._per_source[key] = count
        else:
            self._per_source.pop(key, None)

    # --- queueing, and starts of instances ---

    @property
    def queues(self) -> bool:
        return self.limits.on_excess is OnExcess.QUEUE

    def room(self, now: int) -> int:
        """How many may be taken off the kernel's queue; ``PLENTY`` where excess is not left there."""
        if not self.queues:
            return PLENTY
        if self._is_overloaded():
            return 0
        bounds = [PLENTY]
        if self.limits.max_connections != UNLIMITED:
            bounds.append(self.limits.max_connections - self.open)
        if self._bucket is not None:
            bounds.append(self._bucket.available(self._tat, now))
        if self.total.most != UNLIMITED:
            bounds.append(self.total.most - self.total.open)
        return max(0, min(bounds))

    def room_at(self, now: int) -> int:
        """When a token of the service's rate is there (ns); ``NEVER`` when it is not the rate that is in the way."""
        if self._bucket is None or self._bucket.admits(self._tat, now):
            return NEVER
        return self._bucket.free_at(self._tat)

    def start(self, now: int) -> bool:
        """Take the token that the start of an instance costs; False when it must wait (``room_at``, or the load)."""
        if self._is_overloaded():
            return False
        if self._bucket is None:
            return True
        if not self._bucket.admits(self._tat, now):
            return False
        self._tat = self._bucket.taken(self._tat, now)
        return True

    # --- looking ---

    def per_source(self) -> Iterator[tuple[int, int]]:
        """Every source that has connections open, and how many."""
        yield from self._per_source.items()

    def tokens(self, now: int) -> int | None:
        """Tokens in the service's bucket; None without a rate."""
        return None if self._bucket is None else self._bucket.available(self._tat, now)

    @property
    def sources(self) -> int:
        """Sources whose buckets are remembered."""
        return 0 if self._sources is None else len(self._sources)

    def bans(self, now: int) -> Iterator[Ban]:
        """Every source that is penalised."""
        return self._penalties.bans(now)

    def source(self, key: int) -> str:
        """A source as one writes it: an address, a network, or ``uid:1000``."""
        return f"uid:{key ^ _UNIX_KEY}" if key & _UNIX_KEY else str(self._network(key))

    def _network(self, key: int) -> Network:
        return source_network(key, *_prefixes(self.limits))

    def ban(self, client: Client, now: int) -> Ban | None:
        """The ban of a client's source; None when it is not penalised."""
        return self._penalties.ban(self.key(client), now)

    def bans_of(self, source: str, now: int) -> list[Ban]:
        """The bans of a source, or of all that share an address with a network.

        Raises:
            UnitError: it is neither an address, a network nor ``uid:NUMBER``.
        """
        if source.startswith("uid:"):
            return [ban for ban in self.bans(now) if self.source(ban.key) == source]
        network = parse_network(source)
        return [
            ban
            for ban in self.bans(now)
            if not ban.key & _UNIX_KEY and network.overlaps(self._network(ban.key))
        ]

    def pardon(self, key: int) -> bool:
        """Forgive a source its penalty and fill its bucket; whether it was penalised."""
        if self._sources is not None:
            self._sources.forget(key)
        return self._penalties.pardon(key)


def _bucket(rate: Rate, burst: int) -> Bucket | None:
    return Bucket(rate, burst) if rate.count else None


def _table(texts: tuple[str, ...]) -> NetworkTable[Network] | None:
    if not texts:
        return None
    table: NetworkTable[Network] = NetworkTable()
    for network in sorted(map(parse_network, texts), key=Network.order):
        table.add(network, network)
    return table


def _prefixes(limits: Limits) -> tuple[int, int]:
    return limits.source_prefix_ipv4, limits.source_prefix_ipv6
