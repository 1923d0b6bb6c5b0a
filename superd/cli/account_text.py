"""What a replay found, as text for people. Pure but for the local time."""

from __future__ import annotations

import time
from collections.abc import Iterator

import tomli_w

from superd.cli.account import Account, counted_noun, proposed
from superd.cli.tables import align
from superd.policy.reason import Reason
from superd.policy.replayed import Result, Source
from superd.policy.rules import NS_PER_S
from superd.policy.suggest import Suggestion
from superd.units import format_duration


def account_text(account: Account) -> str:
    """The period, both sides with their differences, who was refused most, what to know of it, what to do."""
    parts = [_headline(account), *_tables(account.result), _starts(account.result)]
    parts.append("\n".join(f"- {note}" for note in account.all_notes))
    if account.percent is not None:
        parts += _suggestion(account)
    return "\n\n".join(part for part in parts if part)


def _headline(account: Account) -> str:
    begin, end = account.traffic.period
    lasted = format_duration(round((end - begin) / NS_PER_S))
    return f"{account.service}, {_when(begin)} to {_when(end)} ({lasted}, local time)"


def _when(time_ns: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time_ns // NS_PER_S))


def _tables(result: Result) -> Iterator[str]:
    if not result.came:
        return
    yield align([("", "IN THE LOG", "REPLAYED", "SHARE", "SOURCES"), *_rows(result)])
    refused = counted_noun(result.newly_refused, "connection")
    yield (
        f"{refused} of those that were admitted would be newly refused, "
        f"{result.newly_admitted:,} of those that were refused newly admitted."
    )
    most = result.most_refused()
    if most:
        rows = [_source_row(result.name(key), source) for key, source in most]
        yield align([("MOST REFUSED", "CAME", "REFUSED", "REASONS", "CHILDREN IN THE LOG"), *rows])


def _rows(result: Result) -> Iterator[tuple[str, ...]]:
    then, now = result.then, result.replayed
    yield "came", f"{result.came:,}", f"{result.came:,}", "", f"{result.sources_that_came:,}"
    yield "admitted", f"{then.admitted:,}", f"{now.admitted:,}", _share(now.admitted, result.came), ""
    total = now.refused.total()
    concerned = f"{result.concerned():,}"
    yield "refused", f"{then.refused.total():,}", f"{total:,}", _share(total, result.came), concerned
    for reason in Reason:
        if reason in then.refused or reason in now.refused:
            count = now.refused[reason]
            yield (
                f"  {reason}",
                f"{then.refused[reason]:,}",
                f"{count:,}",
                _share(count, result.came),
                f"{result.concerned(reason):,}",
            )
    yield "most open at once", f"{then.most_open:,}", f"{now.most_open:,}", "", ""
    yield "  of one source", f"{then.most_open_of:,}", f"{now.most_open_of:,}", "", ""
    yield "most admitted in a second", f"{then.second.most:,}", f"{now.second.most:,}", "", ""
    yield "most admitted in a minute", f"{then.minute.most:,}", f"{now.minute.most:,}", "", ""


def _share(count: int, of: int) -> str:
    return f"{100 * count / of:.1f} %"


def _source_row(name: str, source: Source) -> tuple[str, ...]:
    reasons = ", ".join(
        f"{reason} {count:,}" for reason, count in sorted(source.refused.items(), key=lambda pair: -pair[1])
    )
    refused = sum(source.refused.values())
    children = f"{source.served:,}, {source.bad:,} ended badly" if source.served else "none"
    return name, f"{source.came:,}", f"{refused:,}", reasons, children


def _starts(result: Result) -> str:
    if not result.starts:
        return ""
    starts = counted_noun(result.starts, "start")
    return f"{starts} of an instance; the rate would have delayed {result.starts_delayed:,}."


def _suggestion(account: Account) -> Iterator[str]:
    found = account.suggestion
    if found is None:
        yield "No source behaved (see --help), so there is nothing that limits could be made to fit."
        return
    values = proposed(found.limits)
    yield (
        f"Suggested, so that at most {found.may_refuse:,} of {counted_noun(found.behaved, 'source')} that behaved "
        f"({float(account.percent or 0):g} %) are refused:"
    )
    yield tomli_w.dumps({"services": {account.service: {"limits": values}}}).strip()
    yield f"superctl tune {account.service} " + " ".join(f"{key}={value}" for key, value in values.items())
    yield (
        f"Of all that fit, these let one source connect least often in a minute ({found.in_a_minute:,} times) and "
        "have least open.\nWhat is for all sources together fits all that the limits of each let through."
    )
    yield _outcome(found)


def _outcome(found: Suggestion) -> str:
    side = found.result.replayed
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in side.refused.items())
    refused = f"{side.refused.total():,} refused" + (f" ({reasons})" if reasons else "")
    return (
        f"Replayed with them: {side.admitted:,} admitted, {refused}; "
        f"{found.does_refuse:,} of the sources that behaved are among the refused."
    )
