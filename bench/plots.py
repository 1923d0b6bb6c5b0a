"""Plots of what was measured: one panel a figure, one line a row, every round a dot and the median a stroke."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from superd.cli.plot import MissingError, require

_FIRST, _OTHERS = "#d1495b", "#3b6ea5"


@frozen
class Panel:
    """One figure.

    Args:
        title: with its unit.
        rows: values by label; the first one is the reference.
    """

    title: str
    rows: Mapping[str, Sequence[float]]


def draw(title: str, panels: Sequence[Panel], path: Path) -> None:
    """Write the plot, unless the library is not there that draws it."""
    try:
        figures = require("matplotlib.figure")
    except MissingError:
        return
    heights = [1 + len(panel.rows) for panel in panels]
    figure = figures.Figure(figsize=(9, 0.36 * sum(heights) + 0.5), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    axes = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
    for one, panel in zip(axes, panels, strict=True):
        _draw(one, panel)
    figure.savefig(path)


def _draw(axes: Any, panel: Panel) -> None:
    rows = {label: values for label, values in panel.rows.items() if values}
    for place, values in enumerate(rows.values()):
        color = _OTHERS if place else _FIRST
        axes.plot(values, [place] * len(values), "o", color=color, alpha=0.4, markersize=4)
        axes.plot([statistics.median(values)], [place], "|", color=color, markersize=14, markeredgewidth=2)
    axes.set_yticks(range(len(rows)), list(rows))
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.set_title(panel.title, loc="left", fontsize=9)
    axes.grid(axis="x", color="#e6e8ee")
    axes.spines[["top", "right", "left"]].set_visible(False)
