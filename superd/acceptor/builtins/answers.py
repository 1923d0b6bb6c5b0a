"""Answers datagrams, one by one: never with more than was asked, never to one who answers too, and never in a flood.

A datagram may name a source that never sent it. So an answer is not longer than its question, where a longer one could
be turned against somebody; a source gets so many a second; and what comes from a port that answers by itself, on this
machine or another, is answered by nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import monotonic_ns
from typing import Any

from superd.acceptor.accept import Accepting, judge_datagram, pack, unmapped
from superd.acceptor.refusals import Refusals
from superd.acceptor.services import Listener, Service
from superd.kernel.arrivals import Arrival, send_answer
from superd.policy.buckets import Bucket, SourceBuckets
from superd.policy.decision import Client, Decision
from superd.policy.outcome import Outcome
from superd.policy.reason import Reason
from superd.policy.rules import NO_RATE, NS_PER_S, Rate

ANSWERS_PER_SOURCE = Rate(10, NS_PER_S)
"""What a source is answered, unless ``rate_per_source`` says otherwise …"""

BURST = 20
"""… and how many at once."""

_LOWEST_FREE_PORT = 1024

Answer = Callable[[bytes], bytes | None]
"""From a question to its answer; None: it has none."""


def cut(text: bytes) -> Answer:
    """That text, as much of it as the question is long; nothing for an empty one."""
    return lambda question: text[: len(question)] or None


def echoed(question: bytes) -> bytes:
    """The question itself. Source: RFC 862."""
    return question


def unanswered(_: bytes) -> None:
    """Nothing. Source: RFC 863."""


class Answers:
    """Reads the UDP listeners of builtins.

    Args:
        services: all of them; their ports are looked at.
        answer_of: what a service answers now.
    """

    def __init__(
        self,
        accepting: Accepting,
        refusals: Refusals,
        services: Callable[[], Iterable[Service]],
        answer_of: Callable[[Service], Answer],
    ) -> None:
        self._accepting = accepting
        self._refusals = refusals
        self._services = services
        self._answer_of = answer_of
        self._buckets: dict[int, SourceBuckets] = {}

    def forget(self, service: Service) -> None:
        """The service is gone."""
        self._buckets.pop(service.id, None)

    def read(self, listener: Listener) -> None:
        """Answer what a listener has heard, up to a batch."""
        answer, ports = self._answer_of(listener.service), answering_ports(self._services())
        for arrival in self._accepting.heard(listener):
            if arrival.to_one and self._admits(listener.service, arrival.source, ports):
                _send(listener, answer(arrival.payload), arrival)

    def _admits(self, service: Service, source: tuple[Any, ...], ports: frozenset[int]) -> bool:
        engine, now = service.engine, monotonic_ns()
        if source[1] in ports:
            decision = engine.refuse(Reason.LOOP, now)
        else:
            id_ = self._accepting.new_id()
            decision = judge_datagram(engine.offer, engine, id_, source)
            engine.ended(id_, Outcome.CLEAN, now)  # it is over with its answer
            if decision.reason is None:
                decision = self._take_answer(service, source, now) or decision
        if decision.reason is not None:
            self._refusals.note(service, unmapped(source[0]), source[1], decision)
            return False
        service.accepted += 1
        return True

    def _take_answer(self, service: Service, source: tuple[Any, ...], now: int) -> Decision | None:
        """Take one answer of what a source may have; a refusal if that is used up."""
        if service.engine.limits.rate_per_source != NO_RATE:
            return None  # the engine has asked
        buckets = self._buckets.get(service.id)
        if buckets is None:
            bucket = Bucket(ANSWERS_PER_SOURCE, BURST)
            buckets = self._buckets[service.id] = SourceBuckets(bucket, service.engine.limits.max_sources)
        packed = pack(source[0])[1]
        key = service.engine.key(Client(0, 4 if len(packed) == 4 else 6, int.from_bytes(packed)))
        if not buckets.admits(key, now):
            return service.engine.refuse(Reason.SOURCE_RATE, now)
        buckets.take(key, now)
        return None


def _send(listener: Listener, answer: bytes | None, arrival: Arrival) -> None:
    if answer is None:
        return
    try:
        send_answer(listener.sock, answer, arrival)
    except OSError:
        pass  # no way leads to that source, or the kernel has no room: a datagram may be lost


def answering_ports(services: Iterable[Service]) -> frozenset[int]:
    """The ports of this superd that may answer a datagram: those of builtins, and of any service below 1024."""
    return frozenset(
        port
        for service in services
        for listener in service.listeners.values()
        if listener.datagram and not listener.is_unix
        for port in (listener.sock.getsockname()[1],)
        if service.settings.builtin or port < _LOWEST_FREE_PORT
    )
