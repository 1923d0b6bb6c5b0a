"""Figures of a replay: into a file by matplotlib, into the terminal by plotext. Both come with superd[plot]."""

from __future__ import annotations

import importlib
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from superd.cli.picture import Panel, Picture
from superd.errors import Exit, SuperdError

SUFFIXES = (".png", ".svg")
"""Of the files that can be written."""

_BLUE, _RED, _PALE, _INK = "#3b6ea5", "#d1495b", "#c9cfdb", "#2b2d42"
_BEHIND, _BEFORE = ("refused", _RED), ("admitted", _BLUE)  # what shows of the first is what was refused
_SMALLEST = (60, 20)  # columns and lines in which something can be seen
_RC = {
    "svg.fonttype": "none",
    "svg.hashsalt": "superd",
    "font.size": 10,
}  # texts stay texts, and files reproducible


class MissingError(SuperdError):
    """A library that draws is not there."""

    code = Exit.UNAVAILABLE


def require(library: str) -> Any:
    """The library, ``matplotlib`` or ``plotext``, or a part of it; only here, since it takes long to load.

    Raises:
        MissingError: it is not installed.
    """
    try:
        return importlib.import_module(library)
    except ImportError as error:
        raise MissingError(f"--plot needs {library.partition('.')[0]}; pip install 'superd[plot]'") from error


# --- into a file ---


def write(picture: Picture, path: str) -> None:
    """Write the figure as PNG or SVG, by the end of its name.

    Raises:
        MissingError: matplotlib is not installed.
        OSError: the file cannot be written.
    """
    matplotlib = require("matplotlib")
    figures = require("matplotlib.figure")
    with matplotlib.rc_context(_RC):
        figure = figures.Figure(figsize=(11, 6.2), dpi=150, layout="constrained", facecolor="white")
        above, below = figure.subplots(2, 1, sharex=True)
        figure.suptitle(picture.title, x=0.01, ha="left", fontsize=13, fontweight="bold", color=_INK)
        edges = [datetime.fromtimestamp(second, UTC) for second in (*picture.begins, _end(picture))]
        _draw_areas(above, picture.connections, edges)
        _draw_lines(below, picture.open, edges)
        for axes, panel in ((above, picture.connections), (below, picture.open)):
            _dress(axes, panel)
        _date(below, time.localtime(picture.begins[0]).tm_zone)
        figure.savefig(path)


def _end(picture: Picture) -> int:
    return picture.begins[-1] + picture.slot_s


def _draw_areas(axes: Any, panel: Panel, edges: Sequence[datetime]) -> None:
    """What was admitted before what came: what was refused shows above it."""
    for values, (label, color) in zip((panel.then, panel.now), (_BEHIND, _BEFORE), strict=True):
        axes.stairs(values, edges, fill=True, color=color, label=label, linewidth=0)


def _draw_lines(axes: Any, panel: Panel, edges: Sequence[datetime]) -> None:
    axes.stairs(panel.then, edges, fill=True, color=_PALE, label=panel.then_name, linewidth=0)
    axes.stairs(panel.now, edges, baseline=None, color=_BLUE, label=panel.now_name, linewidth=1.6)


def _dress(axes: Any, panel: Panel) -> None:
    for cut in panel.cuts:
        style = ":" if cut.is_suggested else "--"
        axes.axhline(cut.height, color=_INK, linestyle=style, linewidth=1.2, label=cut.label)
    for label in panel.out_of_sight:
        axes.plot([], [], " ", label=f"{label} (above)")
    axes.set_ylabel(panel.title, color=_INK)
    axes.set_ylim(0, 1.06 * max(1, *panel.then, *panel.now, *(cut.height for cut in panel.cuts)))
    axes.margins(x=0)
    axes.grid(axis="y", color="#e6e8ee", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.yaxis.set_major_locator(require("matplotlib.ticker").MaxNLocator(nbins=6, integer=True))
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=6, frameon=False, borderaxespad=0.2)


def _date(axes: Any, zone_name: str) -> None:
    """The axis of the time, in local time."""
    dates, zones = require("matplotlib.dates"), require("dateutil.tz")  # matplotlib needs dateutil itself
    zone = zones.tzlocal()
    locator = dates.AutoDateLocator(tz=zone)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator, tz=zone, show_offset=False))
    axes.set_xlabel(f"local time ({zone_name})", color=_INK)


# --- in the terminal ---


def terminal_text(picture: Picture, width: int, height: int, *, color: bool) -> str:
    """The figure in characters.

    Args:
        width, height: columns and lines that there are.
        color: with the escape sequences that colour it.

    Raises:
        MissingError: plotext is not installed.
    """
    plotext = require("plotext")
    plotext.main()  # the library keeps one figure, and the part of it that was drawn last
    plotext.clear_figure()
    plotext.limit_size(False, False)  # the caller knows the size, where there is no terminal too
    plotext.plot_size(max(width, _SMALLEST[0]), max(height - 2, _SMALLEST[1]))
    plotext.subplots(2, 1)
    for row, panel in enumerate((picture.connections, picture.open), 1):
        plotext.subplot(row, 1)
        _draw_panel(plotext, picture, panel)
    text: str = plotext.build()
    return f"{picture.title}\n{text if color else plotext.uncolorize(text)}"


def _draw_panel(plotext: Any, picture: Picture, panel: Panel) -> None:
    plotext.theme("clear")
    for values, label, color in ((panel.then, panel.then_name, "red+"), (panel.now, panel.now_name, "blue+")):
        plotext.plot(picture.begins, values, label=label, color=color, marker="braille")
    ends = [picture.begins[0], picture.begins[-1]]
    for cut in panel.cuts:
        plotext.plot(ends, [cut.height] * 2, label=cut.label, color="white", marker="-")
    plotext.title(", ".join((panel.title, *(f"{label} is above" for label in panel.out_of_sight))))
    most = round(max(1, *panel.then, *panel.now, *(cut.height for cut in panel.cuts)))
    heights = sorted({0, most // 4, most // 2, 3 * most // 4, most})
    plotext.ylim(0, most)
    plotext.yticks(heights, [f"{height:,}" for height in heights])
    plotext.xticks(*_ticks(picture))


def _ticks(picture: Picture) -> tuple[list[int], list[str]]:
    """A few times, with what is read on a clock."""
    step = max(1, len(picture.begins) // 6)
    places = list(picture.begins[::step])
    layout = "%H:%M" if picture.begins[-1] - picture.begins[0] < 2 * 86_400 else "%m-%d %H:%M"
    return places, [time.strftime(layout, time.localtime(second)) for second in places]
