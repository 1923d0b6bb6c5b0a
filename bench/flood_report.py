"""The results of a flood: what became of the other client's connections, and of the flood's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import asdict, frozen
from limited import BYSTANDER
from measure import Range, Sample
from report import AGAIN, write_record


@frozen
class FloodSample:
    """One flood against one fresh super-server.

    Args:
        flood: of the client that floods.
        idle, during, after: of the other client, before, in and after the flood.
    """

    flood: Sample
    idle: Sample
    during: Sample
    after: Sample

    @property
    def refusals_s(self) -> float:
        """Connections of the flood that were turned away in a second."""
        return self.flood.refused / self.flood.seconds

    def times(self, percentile: str) -> float:
        """How many times as long the other client waits in the flood; 0 when it is not served."""
        return float(getattr(self.during, percentile) / max(1, getattr(self.idle, percentile)))


@frozen
class FloodResults:
    """All that one run of the scenario found out.

    Args:
        seconds: how long each flood lasted.
        reference: name of the row that was measured twice.
        titles: name to title of the rows, in order; ``reference + AGAIN`` and the bystander besides.
        samples: clients of the flood to name to one sample a round.
        left_out: name to the reason why a peer was not measured.
        versions: Debian package to version.
    """

    scenario: str
    seconds: float
    reference: str
    titles: Mapping[str, str]
    samples: Mapping[int, Mapping[str, Sequence[FloodSample]]]
    left_out: Mapping[str, str]
    versions: Mapping[str, str]


def flood_table(results: FloodResults) -> str:
    """The tables for people, one for each size of the flood."""
    tables = [_table(results, clients) for clients in results.samples]
    left_out = [f"left out: {name}: {reason}" for name, reason in results.left_out.items()]
    return "\n".join(["\n\n".join(tables), *left_out])


def _table(results: FloodResults, clients: int) -> str:
    samples = results.samples[clients]
    width = max(map(len, results.titles.values()))
    rounds = len(samples[results.reference])
    again = samples[results.reference + AGAIN]
    lines = [
        f"{results.scenario}: {clients} client(s) of one source knock for {results.seconds:g} s, {rounds} rounds; "
        "what becomes of another source's connections",
        "",
        f"{'':{width}}  the other source's, in %         its latency, flood / idle  the flood's, a second",
        f"{'':{width}}  served refused unansw.  after        p50 (range)      p99  served refused  spread  errors",
        *(
            _row(f"{results.titles[name]:{width}}", own)
            for name, own in samples.items()
            if not name.endswith(AGAIN)
        ),
        "",
        f"noise: {results.reference} again: refusals/s {_ratio(samples[results.reference], again)}, "
        f"p50 flood / idle {_range([one.times('p50_us') for one in again])}",
        f"load generator's ceiling: {_refusals(samples[BYSTANDER.name]).median:.0f} refusals/s by a C loop that "
        f"closes what it accepts; {results.reference} over it: "
        f"{_ratio(samples[results.reference], samples[BYSTANDER.name])}",
    ]
    return "\n".join(lines)


def _row(title: str, samples: Sequence[FloodSample]) -> str:
    during = [sample.during for sample in samples]
    served, refused, unanswered = (_share(during, kind) for kind in ("connections", "refused", "unanswered"))
    after = _share([sample.after for sample in samples], "connections")
    p50, p99 = (Range.of([sample.times(key) for sample in samples]) for key in ("p50_us", "p99_us"))
    latency = f"{p50.median:5.1f} ({p50.low:3.1f}-{p50.high:<4.1f})  {p99.median:6.1f}"
    if not p50.median:
        latency = f"{'-':>5} {'':12} {'-':>6}"
    admitted = Range.of([sample.flood.rate for sample in samples]).median
    refusals = _refusals(samples)
    errors = sum(one.errors for sample in samples for one in (sample.flood, sample.idle, sample.during))
    return (
        f"{title}  {served:6.0%} {refused:7.0%} {unanswered:7.0%} {after:6.0%}      {latency}  "
        f"{admitted:6.0f} {refusals.median:7.0f}  {refusals.spread:6.0%}  {errors:6d}"
    )


def _share(samples: Sequence[Sample], kind: str) -> float:
    """Of all connections of all rounds."""
    tried = sum(one.connections + one.refused + one.unanswered + one.errors for one in samples)
    counted: int = sum(getattr(one, kind) for one in samples)
    return counted / max(1, tried)


def _refusals(samples: Sequence[FloodSample]) -> Range:
    return Range.of([sample.refusals_s for sample in samples])


def _ratio(samples: Sequence[FloodSample], others: Sequence[FloodSample]) -> str:
    """Refusals a second of the first over the others', round by round."""
    pairs = zip(samples, others, strict=True)
    return _range([one.refusals_s / max(1.0, other.refusals_s) for one, other in pairs])


def _range(values: Sequence[float]) -> str:
    found = Range.of(values)
    return f"{found.median:.2f} ({found.low:.2f}-{found.high:.2f})"


def save_flood(results: FloodResults, path: Path) -> None:
    """Writes every sample as JSON."""
    samples = {
        str(clients): {name: [asdict(sample) for sample in own] for name, own in rows.items()}
        for clients, rows in results.samples.items()
    }
    record = {
        "scenario": results.scenario,
        "seconds": results.seconds,
        "versions": results.versions,
        "left_out": results.left_out,
        "samples": samples,
    }
    write_record(record, path)
