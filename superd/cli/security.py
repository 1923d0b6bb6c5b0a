"""``superctl security``: how exposed services are, and what would make it better."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator

from attrs import asdict

from superd.cli.tables import align
from superd.config.load import load
from superd.config.places import CONFIG_FILE
from superd.config.security import Report, assess
from superd.errors import ConfigError, Exit


def add_security(command: Callable[[str, str], argparse.ArgumentParser]) -> None:
    """The command's words."""
    made = command("security", "how exposed services are, and what would make it better")
    made.add_argument("service", metavar="SERVICE", nargs="?")
    made.add_argument("-f", "--file", metavar="FILE", default=CONFIG_FILE, help="the configuration to judge")


def run_security(options: argparse.Namespace) -> int:
    """Judge the services of a configuration; returns the exit code."""
    try:
        services = load(options.file).services
    except ConfigError as error:
        for fault in error.faults:
            print(f"superctl: {fault}", file=sys.stderr)
        return Exit.CONFIG
    if options.service is not None and options.service not in services:
        print(f"superctl: no service {options.service} in {options.file}", file=sys.stderr)
        return Exit.USAGE
    named = [options.service] if options.service is not None else list(services)
    reports = {name: assess(services[name]) for name in named}
    if options.json:
        print(json.dumps({name: asdict(one) if one else None for name, one in reports.items()}, indent=2))
    elif options.service is not None:
        print(report_text(options.service, reports[options.service]))
    else:
        print(overview_text(reports.items()))
    return Exit.OK


def overview_text(reports: Iterable[tuple[str, Report | None]]) -> str:
    """One row a service, with the key that would do most. Pure."""
    rows = [
        ("SERVICE", "EXPOSURE", "", "WHAT WOULD HELP MOST"),
        *(_overview(name, one) for name, one in reports),
    ]
    return align(rows)


def _overview(name: str, report: Report | None) -> tuple[str, str, str, str]:
    if report is None:
        return name, "-", "", "nothing: superd serves it by itself"
    return name, f"{report.exposure:.1f}", report.word, report.lines[0].remedy


def report_text(name: str, report: Report | None) -> str:
    """Every line of one service. Pure."""
    if report is None:
        return f"{name}: superd serves it by itself, without a program that could be taken over."
    return "\n".join(_report(report))


def _report(report: Report) -> Iterator[str]:
    header = ("", "KEY", "EXPOSURE", "WHAT IS OPEN", "BETTER")
    rows = [
        (
            "✗" if line.remedy else "✓",
            line.name,
            f"{line.exposure:.2f}" if line.remedy else "",
            line.text,
            line.remedy,
        )
        for line in report.lines
    ]
    yield align([header, *rows])
    yield ""
    yield f"{report.service}: exposure {report.exposure:.1f} of 10, {report.word}"
    if report.exposure > 1:
        yield 'profile = "strict" closes all that a service which only talks on its socket does not need.'
