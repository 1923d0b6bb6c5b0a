r"""Making any text safe to show: one line, no control characters, always valid UTF-8.

What a child writes and what a client is called come from strangers. Everything that ``str.isprintable``
does not vouch for is escaped: control characters (terminals obey C0 and C1), line and paragraph separators,
bidirectional overrides, and bytes that were not UTF-8 (lone surrogates, by ``surrogateescape``).
``\xNN`` is the byte NN, ``\uNNNN`` and ``\UNNNNNNNN`` are code points.
"""

from __future__ import annotations

import json
import math
import re

from superd.log.events import Value

MAX_VALUE_CHARS = 8192
"""Longer texts are cut. A line of a child's standard error, at most 8 KiB, always fits."""

_is_plain = re.compile(r"[!#-<>-\[\]-~]+").fullmatch  # visible ASCII but for " = \
_needs_quotes = re.compile(r"[ =]").search
_needs_escapes = re.compile(r'["\\]').search
_find_surrogate = re.compile("[\ud800-\udfff]").search
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}
_json = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


def clip(text: str) -> str:
    """The text, cut at ``MAX_VALUE_CHARS`` characters with an ellipsis."""
    return text if len(text) <= MAX_VALUE_CHARS else text[:MAX_VALUE_CHARS] + "…"


def quote(text: str) -> str:
    """The text as a logfmt value: bare where that is unambiguous, else between double quotes."""
    if _is_plain(text) and len(text) <= MAX_VALUE_CHARS:
        return text
    text = clip(text)
    if not text.isprintable() or _needs_escapes(text):
        text = "".join(map(_escaped, text))
    elif text and not _needs_quotes(text):
        return text
    return f'"{text}"'


def text_value(value: Value) -> str:
    """A field's value as logfmt writes it."""
    return quote(value) if isinstance(value, str) else str(value)


def json_string(text: str) -> str:
    """The text as a JSON string in ASCII, which needs no escapes for the usual name or address."""
    if _is_plain(text) and len(text) <= MAX_VALUE_CHARS:
        return f'"{text}"'
    return json_text(valid(clip(text)))


def json_value(value: Value) -> Value:
    """A field's value as JSON can hold it: valid text; NaN and the infinities, which JSON lacks, by name."""
    if isinstance(value, str):
        return valid(clip(value))
    return value if math.isfinite(value) else str(value)


def json_text(value: object) -> str:
    """The value in JSON, compact and in visible ASCII (the encoder alone lets DEL through)."""
    return _json(value).replace("\x7f", "\\u007f")


def valid(text: str) -> str:
    r"""The text with lone surrogates written as ``\xNN`` or ``\uNNNN``, since UTF-8 cannot hold them."""
    if not _find_surrogate(text):
        return text
    return "".join(_code(char) if "\ud800" <= char <= "\udfff" else char for char in text)


def _escaped(char: str) -> str:
    if char in _SHORT:
        return _SHORT[char]
    return char if char.isprintable() else _code(char)


def _code(char: str) -> str:
    code = ord(char)
    if code < 0x80:
        return f"\\x{code:02x}"
    if 0xDC80 <= code <= 0xDCFF:  # PEP 383: the byte code - 0xDC00 was not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
