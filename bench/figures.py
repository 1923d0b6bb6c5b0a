"""Figures other than connections a second: a table of each with ratios, a JSON file of all samples, and a plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import Factory, asdict, frozen
from measure import Range
from plots import Panel, draw
from report import write_record

Samples = Mapping[str, Sequence[float]]
"""By row: one value a round."""


@frozen
class Figure:
    """What is measured in one table.

    Args:
        title: what it is.
        unit: of its values.
        is_cost: less is better: the ratio is then the row's value over the reference's, so that above 1 the
            reference is better in every table.
        digits: behind the point.
    """

    title: str
    unit: str
    is_cost: bool = True
    digits: int = 1


@frozen
class Findings:
    """All that a scenario found.

    Args:
        titles: name to title of the rows, the reference first.
        figures: each with its samples; a row may be missing where it has no such figure.
        notes: lines for below the tables.
        left_out: name to the reason why a peer was not measured.
        versions: Debian package to version.
    """

    scenario: str
    titles: Mapping[str, str]
    figures: Sequence[tuple[Figure, Samples]]
    notes: Sequence[str] = ()
    left_out: Mapping[str, str] = Factory(dict)
    versions: Mapping[str, str] = Factory(dict)


def figure_table(figure: Figure, samples: Samples, titles: Mapping[str, str]) -> str:
    """The table of one figure; ratios are against its first row, round by round."""
    rows = [name for name in titles if samples.get(name)]
    width = max((len(titles[name]) for name in rows), default=0)
    lines = [figure.title, f"  {'':{width}}  ratio      range  {figure.unit:>10}  spread"]
    for name in rows:
        pairs = zip(samples[rows[0]], samples[name], strict=True)
        ratio = Range.of([_ratio(figure, own, other) for own, other in pairs])
        value = Range.of(samples[name])
        lines.append(
            f"  {titles[name]:{width}}  {ratio.median:5.2f}  {f'{ratio.low:.2f}-{ratio.high:.2f}':>9}"
            f"  {value.median:10.{figure.digits}f}  {value.spread:6.0%}"
        )
    return "\n".join(lines)


def _ratio(figure: Figure, own: float, other: float) -> float:
    above, below = (other, own) if figure.is_cost else (own, other)
    return above / below if below else 0.0


def tell(findings: Findings, results: Path, name: str | None) -> None:
    """Print the tables, and save samples and plot."""
    for figure, samples in findings.figures:
        print(figure_table(figure, samples, findings.titles), end="\n\n")
    print("\n".join(findings.notes))
    for peer, reason in findings.left_out.items():
        print(f"left out: {peer}: {reason}")
    record = {
        "scenario": findings.scenario,
        "versions": findings.versions,
        "left_out": findings.left_out,
        "notes": findings.notes,
        "figures": [{**asdict(figure), "samples": samples} for figure, samples in findings.figures],
    }
    path = results / f"{name or findings.scenario}.json"
    write_record(record, path)
    panels = [
        Panel(f"{figure.title}, {figure.unit}", {findings.titles[row]: own for row, own in samples.items()})
        for figure, samples in findings.figures
    ]
    draw(findings.scenario, panels, path.with_suffix(".svg"))
