"""The results: a table with the ratios first, and a JSON file with every sample."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import asdict, frozen
from measure import Load, Range, Sample, ratios
from peers import CEILING, CHECKOUT

AGAIN = " (again)"
"""Marks the second measurement of the reference in each round: the noise of the machine."""


@frozen
class Results:
    """All that one run of the benchmark found out.

    Args:
        scenario: its name.
        load: what each round did.
        reference: name of the peer that the others are compared with.
        titles: name to title of the rows, in order.
        samples: name to one sample a round; with ``reference + AGAIN`` and the ceiling besides.
        left_out: name to the reason why a peer was not measured.
        versions: Debian package to version.
    """

    scenario: str
    load: Load
    reference: str
    titles: Mapping[str, str]
    samples: Mapping[str, Sequence[Sample]]
    left_out: Mapping[str, str]
    versions: Mapping[str, str]


def table(results: Results) -> str:
    """The table for people."""
    compared = ratios(results.samples, results.reference)
    width = max(len(title) for title in results.titles.values())
    head = f"{'':{width}}  {'ratio':>5}  {'range':>9}  {'p50 ms':>6}  {'p99 ms':>6}  {'conn/s':>6}  spread  errors"
    rows = [
        _row(f"{title:{width}}", compared[name], results.samples[name])
        for name, title in results.titles.items()
    ]
    return "\n".join([_heading(results), "", head, *rows, "", *_notes(results, compared)])


def _heading(results: Results) -> str:
    load = results.load
    amount = f"{load.connections} connections" if load.connections else f"{load.seconds:g} s"
    rounds = len(results.samples[results.reference])
    return (
        f"{results.scenario}: {load.clients} client(s), {amount} a round, {rounds} rounds; "
        f"ratio = connections/s of {results.reference} over those of the row"
    )


def _row(title: str, ratio: Range, samples: Sequence[Sample]) -> str:
    p50, p99 = (Range.of([getattr(s, key) / 1000 for s in samples]).median for key in ("p50_us", "p99_us"))
    rate = Range.of([sample.rate for sample in samples])
    errors = sum(sample.errors for sample in samples)
    return (
        f"{title}  {ratio.median:5.2f}  {ratio.low:4.2f}-{ratio.high:<4.2f}  {p50:6.2f}  {p99:6.2f}  "
        f"{rate.median:6.0f}  {rate.spread:6.0%}  {errors:6d}"
    )


def _notes(results: Results, compared: Mapping[str, Range]) -> list[str]:
    noise = compared[results.reference + AGAIN]
    ceiling = Range.of([sample.rate for sample in results.samples[CEILING.name]]).median
    fastest = max(
        Range.of([sample.rate for sample in results.samples[name]]).median for name in results.titles
    )
    return [
        f"noise: {results.reference} against itself {noise.median:.2f} ({noise.low:.2f}-{noise.high:.2f})",
        f"load generator's ceiling: {ceiling:.0f} conn/s, {ceiling / fastest:.1f} times the fastest row",
        *(f"left out: {name}: {reason}" for name, reason in results.left_out.items()),
    ]


def progress(text: str) -> None:
    """Says what is going on, beside the results."""
    print(text, file=sys.stderr, flush=True)


def save(results: Results, path: Path) -> None:
    """Writes every sample as JSON."""
    compared = ratios(results.samples, results.reference)
    record = {
        "scenario": results.scenario,
        "load": asdict(results.load),
        "reference": results.reference,
        "versions": results.versions,
        "left_out": dict(results.left_out),
        "ratios": {peer: asdict(ratio) for peer, ratio in compared.items()},
        "samples": {peer: [asdict(sample) for sample in own] for peer, own in results.samples.items()},
    }
    write_record(record, path)


def write_record(record: Mapping[str, object], path: Path) -> None:
    """Writes what was found out as JSON, with the machine, the hour and superd's commit."""
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = {**record, "machine": _machine(), "commit": _commit()}
    path.write_text(json.dumps(whole, indent=2) + "\n")
    progress(f"every sample: {path}")


def _machine() -> dict[str, object]:
    return {
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "processors": os.cpu_count(),
        "load_average_after": os.getloadavg()[0],
    }


def _commit() -> str:
    """The checkout's commit, "unknown" outside of git."""
    command = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else "unknown"
