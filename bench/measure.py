"""Rounds of load, and the ratios between the super-servers that come out of them."""

from __future__ import annotations

import json
import statistics
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from attrs import frozen

T = TypeVar("T")


@frozen
class Load:
    """What one round puts on one super-server.

    Args:
        clients: how many connections are open at a time.
        connections: how many in all; 0: no bound.
        seconds: how long; 0: no bound.
        options: further ones of the generator: where the clients come from, what counts as an answer.
    """

    clients: int
    connections: int
    seconds: float = 0.0
    options: tuple[str, ...] = ()


@frozen
class Sample:
    """One run of the load generator against one super-server; its JSON keys are these names.

    Args:
        connections: those that were served; rate and latencies are theirs.
        refused, unanswered: counted apart only where the generator is told so, else among the errors.
    """

    connections: int
    refused: int
    unanswered: int
    errors: int
    seconds: float
    rate: float  # connections per second
    p50_us: int
    p99_us: int
    max_us: int


@frozen
class Range:
    """Median and extremes over the rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Range:
        return cls(statistics.median(values), min(values), max(values))

    @property
    def spread(self) -> float:
        """Width of the range as a share of the median."""
        return (self.high - self.low) / self.median if self.median else 0.0


def run_load(generator: Path, port: int, load: Load) -> Sample:
    """Runs the load generator once.

    Raises:
        CalledProcessError: it could not run; errors of single connections are counted in the sample instead.
    """
    done = subprocess.run(load_command(generator, port, load), stdout=subprocess.PIPE, check=True)
    return Sample(**json.loads(done.stdout))


def load_command(generator: Path, port: int, load: Load) -> list[str]:
    """How the load generator is started; it prints one ``Sample``."""
    amount = (port, load.clients, load.connections, load.seconds)
    return [str(generator), *load.options, *map(str, amount)]


def run_rounds(
    names: Sequence[str],
    rounds: int,
    measure: Callable[[str], T],
    report: Callable[[str], None],
    *,
    warm_up: bool = True,
) -> dict[str, list[T]]:
    """Measures everyone once a round, after a warm-up round that does not count.

    Rounds are interleaved, so that whatever else the machine does meets all alike, and each starts with another
    one, so that nobody always runs after the same neighbour.
    """
    samples: dict[str, list[T]] = {name: [] for name in names}
    for number in range(0 if warm_up else 1, rounds + 1):
        report(f"round {number} of {rounds}" if number else "warm-up")
        first = number % len(names)
        for name in (*names[first:], *names[:first]):
            sample = measure(name)
            if number:
                samples[name].append(sample)
    return samples


def ratios(samples: Mapping[str, Sequence[Sample]], reference: str) -> dict[str, Range]:
    """How many times as many connections a second the reference serves: round by round, then the median."""
    base = samples[reference]
    return {
        name: Range.of([_ratio(*pair) for pair in zip(base, own, strict=True)])
        for name, own in samples.items()
    }


def _ratio(ours: Sample, theirs: Sample) -> float:
    """Zero when they served nobody: there is nothing to compare with."""
    return ours.rate / theirs.rate if theirs.rate else 0.0
