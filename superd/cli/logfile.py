"""Reading superd's log again: lines of JSON, in files, plain or gzip, on standard input, or as the journal keeps them.

What cannot be read is counted, and the first few places of it are told; it never ends the reading.
"""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from json import JSONDecoder
from typing import Any, BinaryIO, TypeVar

from attrs import Factory, define

from superd.log.events import EventName
from superd.policy.outcome import Outcome
from superd.policy.reason import Reason
from superd.policy.traffic import Kind, Traffic

STANDARD_INPUT = "-"

_GZIP = b"\x1f\x8b"  # RFC 1952, 2.3.1
_BUFFER = 1 << 20  # bytes
_TOLD = 5  # places of what cannot be read
_REPORT_EVERY = 4096  # lines, between two reports of progress
_INSTANCE = "-"  # stands for the source of an instance, which serves many
_OUTCOMES = {outcome.value: outcome for outcome in Outcome}
_REASONS = {reason.value: reason for reason in Reason}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NS_PER_US, _NS_PER_MS = 1_000, 1_000_000

Word = TypeVar("Word", Outcome, Reason)
Fields = dict[str, Any]
Progress = Callable[[int], None]
"""Told how many bytes of all files are read."""


@define
class Log:
    """What was read.

    Args:
        traffic: of the service that was asked for.
        lines: how many there are, of all services and events.
        services: connections, ends, refusals and starts by service.
        unnamed: refusals of the service that the log counts without saying of whom, by reason.
        faulty: lines that could not be read; the first few of them stand in ``told``, with their place.
    """

    traffic: Traffic = Factory(Traffic)
    lines: int = 0
    services: Counter[str] = Factory(Counter)
    unnamed: Counter[str] = Factory(Counter)
    faulty: int = 0
    told: list[str] = Factory(list)

    def fault(self, place: str, problem: str) -> None:
        """Count a line that could not be read."""
        self.faulty += 1
        if len(self.told) < _TOLD:
            self.told.append(f"{place}: {problem}")


class _Counted(io.RawIOBase):
    """A file that knows how much of it was read, be it a pipe."""

    def __init__(self, raw: io.RawIOBase) -> None:
        self._raw = raw
        self.done = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        count = self._raw.readinto(buffer)
        self.done += count or 0
        return count


class _Inflated(io.RawIOBase):
    """What gzip holds, handed on as soon as it is there: what comes before a break is not lost with it."""

    def __init__(self, compressed: gzip.GzipFile) -> None:
        self._compressed = compressed

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._compressed.readinto1(buffer)


def size(paths: Iterable[str]) -> int | None:
    """Bytes of all the files together; None where standard input is one of them.

    Raises:
        OSError: a file is not there.
    """
    sizes = [None if path == STANDARD_INPUT else os.stat(path).st_size for path in paths]
    known = [one for one in sizes if one is not None]
    return sum(known) if len(known) == len(sizes) else None


def read_logs(paths: Iterable[str], service: str, progress: Progress) -> Log:
    """Read all that concerns one service.

    Args:
        paths: of files, in any order; ``-`` is standard input.

    Raises:
        OSError: a file cannot be opened or read.
    """
    log = Log()
    reader = _Reader(service, log)
    before = 0
    for path in paths:
        name = "standard input" if path == STANDARD_INPUT else path
        with _opened(path) as counted:
            for number, line in enumerate(_lines(counted, name, log), 1):
                try:
                    reader.take(line)
                except (ValueError, RecursionError) as error:
                    log.fault(f"{name}:{number}", str(error))
                if not number % _REPORT_EVERY:
                    progress(before + counted.done)
        before += counted.done
        progress(before)
    return log


@contextmanager
def _opened(path: str) -> Iterator[_Counted]:
    file, is_ours = (0, False) if path == STANDARD_INPUT else (path, True)
    with open(file, "rb", buffering=0, closefd=is_ours) as raw:
        yield _Counted(raw)


def _lines(counted: _Counted, name: str, log: Log) -> Iterator[bytes]:
    plain = io.BufferedReader(counted, _BUFFER)
    stream: BinaryIO = plain
    if plain.peek(len(_GZIP)).startswith(_GZIP):
        stream = io.BufferedReader(_Inflated(gzip.GzipFile(fileobj=plain)), _BUFFER)
    try:
        for line in stream:
            log.lines += 1
            yield line
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:  # it is still being written, or was cut off
        log.fault(name, f"the compressed data breaks off ({error})")


class _Reader:
    """Takes lines and puts what concerns one service into a ``Log``."""

    def __init__(self, service: str, log: Log) -> None:
        self._service = service
        self._log = log
        self._decode = JSONDecoder().raw_decode
        self._second = ""
        self._second_ns = 0
        self._takers: dict[str, Callable[[Fields], None]] = {
            EventName.CONNECTION: self._take_connection,
            EventName.END: self._take_end,
            EventName.REFUSED: self._take_refused,
            EventName.START: self._take_start,
        }

    def take(self, line: bytes) -> None:
        """Take one line.

        Raises:
            ValueError: it is none that superd wrote.
        """
        fields = self._parse(line.decode())
        if "MESSAGE" in fields:
            fields = self._of_journal(fields)
        event = fields.get("event")
        if not isinstance(event, str):
            raise ValueError("no event")
        taker = self._takers.get(event)
        service = fields.get("service")
        if taker is None or not isinstance(service, str):
            return
        self._log.services[service] += 1
        if service != self._service:
            return
        try:
            taker(fields)
        except KeyError as error:
            raise ValueError(f"no {error.args[0]} in it") from None
        except (TypeError, AttributeError):
            raise ValueError("a value of another type than superd writes") from None

    def _parse(self, text: str) -> Fields:
        """The object in a line; what a system logger put before it is left out."""
        if not text.startswith("{"):
            text = text[max(0, text.find("{")) :]
        fields, end = self._decode(text)
        if not isinstance(fields, dict) or text[end:].strip():
            raise ValueError("not an object in JSON")
        return fields

    def _of_journal(self, entry: Fields) -> Fields:
        """What superd wrote, out of a line of ``journalctl -o json``; of others' lines an event that is none."""
        message = entry["MESSAGE"]
        if isinstance(message, str) and message.startswith('{"time":'):
            return self._parse(message)
        fields = {
            key.removeprefix("SUPERD_").lower(): value
            for key, value in entry.items()
            if key.startswith("SUPERD_")
        }
        when = _EPOCH + timedelta(microseconds=int(entry.get("__REALTIME_TIMESTAMP", 0)))
        return {"event": "", "time": when.isoformat(), **fields}

    def _take_connection(self, fields: Fields) -> None:
        self._log.traffic.add(
            self._time(fields["time"]), Kind.CONNECTION, fields["source"], int(fields["id"], 16)
        )

    def _take_end(self, fields: Fields) -> None:
        source = fields["source"]
        if source == _INSTANCE:
            return
        outcome, lasted = _known(fields["outcome"], _OUTCOMES), float(fields["duration"])
        self._log.traffic.add(self._time(fields["time"]), Kind.END, source, int(fields["id"], 16), outcome)
        self._log.traffic.lasted(lasted)

    def _take_refused(self, fields: Fields) -> None:
        reason, source = _known(fields["reason"], _REASONS), fields.get("source", _INSTANCE)
        if "repeated" in fields or source == _INSTANCE:
            self._log.unnamed[reason] += int(fields.get("repeated", 1))
            return
        self._log.traffic.add(self._time(fields["time"]), Kind.REFUSED, source, detail=reason)

    def _take_start(self, fields: Fields) -> None:
        self._log.traffic.add(self._time(fields["time"]), Kind.START, "")

    def _time(self, text: str) -> int:
        """Nanoseconds since the epoch. superd's own form is read fast: to the second once, then its milliseconds."""
        second = text[:19]
        if second != self._second:
            self._second_ns = _nanoseconds(datetime.fromisoformat(f"{second}Z"))
            self._second = second
        milliseconds = text[20:23]
        if len(text) == 24 and text[23] == "Z" and text[19] == "." and milliseconds.isdigit():
            return self._second_ns + int(milliseconds) * _NS_PER_MS
        return _nanoseconds(datetime.fromisoformat(text))


def _known(word: str, words: Mapping[str, Word]) -> Word:
    found = words.get(word)
    if found is None:
        raise ValueError(f"{word}: no word of superd's")
    return found


def _nanoseconds(when: datetime) -> int:
    if when.tzinfo is None:
        raise ValueError("a time without its offset from UTC")
    return (when - _EPOCH) // timedelta(microseconds=1) * _NS_PER_US
