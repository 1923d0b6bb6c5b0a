"""One measurement of the policy in a process of its own; prints one line of JSON.

    python bench/decisions.py MEASURE [--networks N] [--sources N] [--most N] [--traced]

The clock is scripted: ten microseconds pass between two offers. Everything random has a fixed seed.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import sys
import time
import tracemalloc
from collections import Counter, deque
from collections.abc import Callable, Iterator
from pathlib import Path

from superd.policy.access import AccessList
from superd.policy.decision import Client, Total
from superd.policy.engine import Engine
from superd.policy.networks import Network
from superd.policy.outcome import Outcome
from superd.policy.reason import Reason
from superd.policy.rules import NS_PER_S, UNLIMITED, Access, Limits, ProxyProtocol, Rate

STEP_NS = 10_000
DECISIONS = 200_000
VERDICTS = 200_000
OPEN_AT_ONCE = 2_000
PENALISED, OPEN = 1_000, 500
"""Sources that a flood must not make the engine forget."""

_WIDTHS = {4: 32, 6: 128}
_GLOBAL_6 = 0x2 << 124  # 2000::/4

Key = tuple[int, int]
"""Version and value of an address."""


def address(rng: random.Random) -> Key:
    """Any of IPv4's, or of IPv6's in use: as many of each."""
    if rng.random() < 0.5:
        return 4, rng.getrandbits(32)
    return 6, _GLOBAL_6 | rng.getrandbits(124)


def network(rng: random.Random) -> str:
    """A network with an address in it; IPv4 from /8 to /32, IPv6 from /16 to /128, longer ones more often."""
    version, value = address(rng)
    width = _WIDTHS[version]
    length = (
        width - int(rng.triangular(0, width * 3 / 4, 0))
        if version == 4
        else rng.choice((16, 32, 48, 64, 128))
    )
    shift = width - length
    return str(Network(version, max(1, value >> shift) << shift, length))


def access(rng: random.Random, networks: int) -> Access:
    """As many networks allowed as denied; everybody else is allowed as well."""
    texts = list(dict.fromkeys(network(rng) for _ in range(networks)))
    allow = ("0.0.0.0/0", "::/0", *texts[::2])
    return Access(allow=tuple(dict.fromkeys(allow)), deny=tuple(texts[1::2]))


def limits(most_sources: int) -> Limits:
    """Everything that is counted by source; nothing that closes the service to all."""
    return Limits(
        max_connections=UNLIMITED,
        max_connections_per_source=8,
        rate_per_source=Rate(5, NS_PER_S),
        burst_per_source=10,
        max_sources=most_sources,
        penalty_s=30.0,
        penalty_failed_s=5.0,
        penalty_crashed_s=30.0,
    )


def engine(rules: Limits, lists: Access) -> Engine:
    return Engine(rules, lists, ProxyProtocol(), Total())


def resident_bytes() -> int:
    """Memory of this process that is in use."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


class Run:
    """Offers and ends in the order of a scripted clock.

    Args:
        decider: the engine.
        open_at_once: connections that are open at a time.
        often: how they end, but for one in fifty, which fails.
    """

    def __init__(self, decider: Engine, open_at_once: int, often: Outcome = Outcome.CLEAN) -> None:
        self._engine = decider
        self._open_at_once = open_at_once
        self._often = often
        self._open: deque[int] = deque()
        self.now = NS_PER_S
        self.answers: Counter[Reason | None] = Counter()

    def offer_all(self, clients: Iterator[Client]) -> None:
        """Each is offered; who is admitted leaves when so many others have come."""
        offer, ended, often = self._engine.offer, self._engine.ended, self._often
        now, open_, most, answers = self.now, self._open, self._open_at_once, self.answers
        for client in clients:
            now += STEP_NS
            decision = offer(client, now)
            answers[decision.reason] += 1
            if decision.reason is None:
                open_.append(client.id)
                if len(open_) > most:
                    id_ = open_.popleft()
                    ended(id_, often if id_ % 50 else Outcome.FAILED, now)
        self.now = now


def population(rng: random.Random, sources: int) -> list[Key]:
    return list({address(rng): None for _ in range(sources)})


def visits(rng: random.Random, sources: list[Key], number: int, first_id: int) -> list[Client]:
    """Visits of these sources: a tenth of them by one source in a thousand, which is more than its rate."""
    busy = sources[: max(1, len(sources) // 1000)]
    return [
        Client(first_id + count, *rng.choice(busy if rng.random() < 0.1 else sources))
        for count in range(number)
    ]


def decide(arguments: argparse.Namespace, rules: Limits, lists: Access) -> dict[str, object]:
    """Decisions a second, once every source is known."""
    rng = random.Random(arguments.seed)
    sources = population(rng, arguments.sources)
    decider = engine(rules, lists)
    run = Run(decider, min(OPEN_AT_ONCE, arguments.sources))
    run.offer_all(Client(count, *source) for count, source in enumerate(sources, 1))
    clients = visits(rng, sources, DECISIONS, len(sources) + 1)
    run.answers.clear()
    gc.freeze()  # what is offered is not the engine's garbage
    began = time.perf_counter()
    run.offer_all(iter(clients))
    seconds = time.perf_counter() - began
    answers = {str(reason or "admitted"): count for reason, count in run.answers.items()}
    return {"rate": len(clients) / seconds, "sources": decider.sources, "answers": answers}


def measure_decide(arguments: argparse.Namespace) -> dict[str, object]:
    lists = access(random.Random(arguments.seed), arguments.networks)
    return decide(arguments, limits(arguments.most), lists)


def measure_defaults(arguments: argparse.Namespace) -> dict[str, object]:
    """The same visits under the limits that a service has by default, and no lists."""
    return decide(arguments, Limits(max_connections=UNLIMITED), Access())


def measure_verdict(arguments: argparse.Namespace) -> dict[str, object]:
    """Microseconds of one ``AccessList.verdict``, of a call that does nothing taken off."""
    rng = random.Random(arguments.seed)
    lists = access(rng, arguments.networks)
    verdict = AccessList(lists.allow, lists.deny).verdict
    asked = [address(rng) for _ in range(VERDICTS)]
    seconds = min(_lap(verdict, asked) for _ in range(3))
    idle = min(_lap(lambda _, __: None, asked) for _ in range(3))
    return {"microseconds": (seconds - idle) / len(asked) * 1e6}


def _lap(function: Callable[[int, int], object], asked: list[Key]) -> float:
    began = time.perf_counter()
    for version, value in asked:
        function(version, value)
    return time.perf_counter() - began


def measure_memory(arguments: argparse.Namespace) -> dict[str, object]:
    """Bytes that each source costs that came once and went."""
    return remember(arguments, Outcome.CLEAN)


def measure_penalised(arguments: argparse.Namespace) -> dict[str, object]:
    """The same when what it asked for crashed, so that it is refused for a while."""
    return remember(arguments, Outcome.SIGNALLED)


def remember(arguments: argparse.Namespace, outcome: Outcome) -> dict[str, object]:
    decider = engine(limits(arguments.most), Access())
    run = Run(decider, 0, outcome)
    rng = random.Random(arguments.seed)
    grown = _growth(lambda: run.offer_all(newcomers(rng, arguments.sources)))
    return {**grown, "sources": decider.sources, "bytes_per_source": grown["bytes"] / max(1, decider.sources)}


def newcomers(rng: random.Random, number: int) -> Iterator[Client]:
    """Sources that nobody has seen before, one after another, IPv4 and IPv6 by turns."""
    start = rng.getrandbits(20)
    for count in range(1, number + 1):
        value = start + count
        yield Client(-count, 4, value) if count % 2 else Client(-count, 6, _GLOBAL_6 | value << 64)


def measure_flood(arguments: argparse.Namespace) -> dict[str, object]:
    """Newcomers without end: what the engine grows by, and whether it forgets whom it must not."""
    decider = engine(limits(arguments.most), Access())
    rng = random.Random(arguments.seed)
    kept = [(4, 0xF000_0000 + count) for count in range(PENALISED + OPEN)]
    known = Run(decider, PENALISED + OPEN)
    known.offer_all(Client(count, *source) for count, source in enumerate(kept[PENALISED:], 1))
    greedy = [Client(-1 - count, *source) for count, source in enumerate(kept[:PENALISED])]
    for client in greedy:
        _overdraw(decider, client, known.now)
    run = Run(decider, 0)
    run.now = known.now
    grown = _growth(lambda: run.offer_all(newcomers(rng, arguments.sources)))
    still = sum(decider.offer(client, run.now).reason is Reason.PENALTY for client in greedy)
    open_now = dict(decider.per_source())
    opened = sum(open_now.get(value, 0) == 1 for _, value in kept[PENALISED:])
    return {
        **grown,
        "sources": decider.sources,
        "still_penalised": still / PENALISED,
        "still_open": opened / OPEN,
    }


def _overdraw(decider: Engine, client: Client, now: int) -> None:
    """Come until the penalty."""
    while decider.offer(client, now).reason is not Reason.PENALTY:
        decider.ended(client.id, Outcome.CLEAN, now)


def _growth(work: Callable[[], None]) -> dict[str, float]:
    """Bytes that are in use after the work and were not before it; with ``tracemalloc`` those that Python knows of."""
    gc.collect()
    traced = tracemalloc.is_tracing()
    before = tracemalloc.get_traced_memory()[0] if traced else resident_bytes()
    work()
    gc.collect()
    after = tracemalloc.get_traced_memory()[0] if traced else resident_bytes()
    return {"bytes": after - before}


MEASURES = {
    "decide": measure_decide,
    "decide-defaults": measure_defaults,
    "verdict": measure_verdict,
    "remember": measure_memory,
    "penalise": measure_penalised,
    "flood": measure_flood,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="one measurement of the policy, as JSON")
    parser.add_argument("measure", choices=MEASURES)
    parser.add_argument("--networks", type=int, default=0)
    parser.add_argument("--sources", type=int, default=0)
    parser.add_argument("--most", type=int, default=100_000, help="max_sources")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--traced", action="store_true", help="memory as tracemalloc counts it")
    arguments = parser.parse_args()
    if arguments.traced:
        tracemalloc.start()
    json.dump(MEASURES[arguments.measure](arguments), sys.stdout)


if __name__ == "__main__":
    main()
