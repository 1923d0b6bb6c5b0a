"""What holds for each service in the end: its own attributes, and those of defaults.

``only_from``, ``no_access``, ``passenv`` and ``log_on_*`` of defaults are copied when a service begins, so they hold
only for services that come after that block, and += and -= work on the copy. The other defaults are filled in at the
end, wherever the block stands.

Source: get_service_entry, identify_attribute and service_fill of xinetd 2.3.15.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

from attrs import Factory, evolve, frozen

from superd.config.legacy.carried import Fate, Origin, Remark
from superd.config.legacy.xinetd.attributes import ALIASES, ATTRIBUTES, Attribute, Reading
from superd.config.legacy.xinetd.parse import Setting, Stanza
from superd.config.legacy.xinetd.values import BadValueError

COPIED = ("only_from", "no_access", "passenv", "log_on_success", "log_on_failure")
"""What a service has from defaults at the moment it begins."""

MAX_ITEMS = 10_000
"""Of a list; each line that adds to it looks through all of them."""

_BANNERS = ("banner", "banner_success", "banner_fail")


@frozen
class Held:
    """An attribute that is set.

    Args:
        reading: what it means.
        origin: the line that said so last.
        is_own: the service says it itself.
    """

    reading: Reading
    origin: Origin
    is_own: bool = True


Attributes = Mapping[str, Held]


@frozen
class Resolved:
    """One service, or the defaults.

    Args:
        stanza: where it comes from.
        held: its attributes by name, inherited ones included.
        remarks: about its lines, without a service.
        faults: why xinetd would not have run it; each is among the remarks too.
    """

    stanza: Stanza
    held: Attributes = Factory(dict)
    remarks: tuple[Remark, ...] = ()
    faults: tuple[str, ...] = ()

    def items(self, name: str) -> tuple[str, ...]:
        """The words of an attribute; none when it is not set."""
        return self.held[name].reading.items if name in self.held else ()

    def word(self, name: str) -> str:
        """The only word of an attribute; empty when it is not set."""
        return next(iter(self.items(name)), "")

    @property
    def name(self) -> str:
        return self.stanza.name

    @property
    def id(self) -> str:
        return self.word("id") or self.name

    @property
    def is_off(self) -> bool:
        return self.word("disable") == "yes"


def read_defaults(stanza: Stanza) -> Resolved:
    """The defaults block by itself."""
    return _Taker(stanza, {}).result()


def copied_from(defaults: Resolved | None) -> Attributes:
    """What a service has from defaults that came before it at the moment it begins."""
    names = (*COPIED, *_BANNERS)
    held = defaults.held if defaults else {}
    return {name: evolve(held[name], is_own=False) for name in names if name in held}


def late_from(defaults: Resolved | None) -> Attributes:
    """The defaults that are filled in at the end, wherever the block stands."""
    others = (*COPIED, *_BANNERS, "enabled", "disabled", "log_type")
    held = defaults.held if defaults else {}
    return {name: evolve(one, is_own=False) for name, one in held.items() if name not in others}


def read_service(stanza: Stanza, copied: Attributes) -> Resolved:
    """A service.

    Args:
        stanza: where it stands.
        copied: of ``copied_from``.
    """
    return _Taker(stanza, copied).result()


def filled(service: Resolved, late: Attributes) -> Resolved:
    """The service with what ``late_from`` gives."""
    if not late:
        return service
    return Resolved(service.stanza, {**late, **service.held}, service.remarks, service.faults)


@functools.lru_cache(maxsize=4096)  # thousands of services say the same
def _meaning(name: str, words: tuple[str, ...]) -> Reading:
    return ATTRIBUTES[name].read(words)


class _Taker:
    """Takes the settings of a stanza one after the other."""

    def __init__(self, stanza: Stanza, copied: Attributes) -> None:
        self._stanza = stanza
        self._held: dict[str, Held] = dict(copied)
        self._remarks: list[Remark] = []
        self._faults: list[str] = []
        if stanza.is_lost:
            self._faults.append("xinetd cannot read its stanza")
        for setting in stanza.settings:
            self._take(setting)

    def result(self) -> Resolved:
        remarks = (*self._stanza.remarks, *self._remarks)
        return Resolved(self._stanza, self._held, remarks, tuple(self._faults))

    @property
    def _in_defaults(self) -> bool:
        return self._stanza.kind == "defaults"

    def _say(self, setting: Setting, fate: Fate, reason: str) -> None:
        self._remarks.append(Remark(setting.origin, fate, reason))

    def _take(self, setting: Setting) -> None:
        name = ALIASES.get(setting.name, setting.name)
        row = ATTRIBUTES.get(name)
        if row is None or not (row.in_defaults if self._in_defaults else row.in_service):
            self._unknown(setting, row)
        elif not row.is_set and name in self._held and self._held[name].is_own:
            self._say(setting, Fate.NOTED, f"{name} stands there already, on line {self._held[name].origin.line}; "
                      "the first counts, for xinetd too")  # fmt: skip
        elif not row.is_set and setting.operator != "=":
            self._say(setting, Fate.FAULT, f"xinetd ignores {setting.operator} for {name}; write =")
        elif name == "env" and setting.operator == "-=":
            self._reject(setting, row, "xinetd takes nothing out of env")
        else:
            self._read(setting, row)

    def _unknown(self, setting: Setting, row: Attribute | None) -> None:
        if row is None:
            self._say(setting, Fate.FAULT, f"xinetd knows no attribute {setting.name} and ignores it")
        else:
            where = "defaults" if self._in_defaults else "a service"
            self._say(setting, Fate.NOTED, f"xinetd ignores {setting.name} in {where}")

    def _read(self, setting: Setting, row: Attribute) -> None:
        words = self._without_comment(setting, row)
        if row.count is not None and len(words) != row.count:
            self._reject(
                setting, row, f"{len(words)} values where xinetd wants {row.count}, and else ignores it"
            )
            return
        try:
            reading = _meaning(row.name, tuple(words))
        except BadValueError as error:
            self._reject(setting, row, str(error))
            return
        for note in reading.notes:
            self._say(setting, Fate.NOTED, note)
        for lost in reading.lost:
            self._say(setting, Fate.NOT_CARRIED, lost)
        if row.is_set:
            reading = self._combined(setting, row, reading)
        self._held[row.name] = Held(reading, setting.origin)

    def _without_comment(self, setting: Setting, row: Attribute) -> Sequence[str]:
        """The values up to a comment, which xinetd would take for more of them."""
        words = setting.values
        if "#" not in setting.origin.text:
            return words
        at = next((index for index, word in enumerate(words) if word.startswith("#")), None)
        if at is None:
            return words
        if row.name == "server_args":
            self._say(setting, Fate.NOTED, "xinetd knows comments only on lines of their own: "
                      "the program is given this one as arguments")  # fmt: skip
            return words
        self._say(setting, Fate.NOTED, "xinetd takes the comment for values, "
                  + ("and ignores the line" if row.count else "and disables the service") + "; mended")  # fmt: skip
        return words[:at]

    def _reject(self, setting: Setting, row: Attribute, reason: str) -> None:
        end = "xinetd does not start with it" if self._in_defaults else "the service stays off"
        self._say(setting, Fate.FAULT, f"{reason}; {end}")
        if not self._in_defaults or row.name in ("only_from", "no_access"):
            self._faults.append(f"{row.name} cannot be read")

    def _combined(self, setting: Setting, row: Attribute, reading: Reading) -> Reading:
        """What a set holds after a line. In defaults = adds, as += does."""
        operator = "+=" if self._in_defaults and setting.operator == "=" else setting.operator
        before = self._held[row.name].reading.items if row.name in self._held else ()
        if operator == "+=" and len(before) > MAX_ITEMS:
            self._reject(setting, row, f"more than {MAX_ITEMS} values")
            return self._held[row.name].reading
        if operator == "=":
            items = reading.items
        elif operator == "+=":
            items = tuple(dict.fromkeys((*before, *reading.items)))
        else:
            gone = {item.lower() for item in reading.items}
            items = tuple(item for item in before if item.lower() not in gone)
        keys = {row.key: list(items)} if row.key else {}
        return evolve(reading, items=items, keys=keys)
