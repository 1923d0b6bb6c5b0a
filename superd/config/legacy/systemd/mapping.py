"""A socket unit and the service it starts, as one service of superd."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping

from attrs import evolve, field, mutable

from superd.config.legacy.carried import Carried, Fate, LegacyError, Origin, Remark, ServiceTable, nested
from superd.config.legacy.names import fresh_name
from superd.config.legacy.surroundings import Surroundings
from superd.config.legacy.systemd import directives
from superd.config.legacy.systemd.access import rules_of
from superd.config.legacy.systemd.limits import trip_wire
from superd.config.legacy.systemd.sandbox import CARRIED, sandbox_of
from superd.config.legacy.systemd.sockets import LISTENING, listen_of
from superd.config.legacy.systemd.units import Assignment, Unit, find_unit, read_unit_file
from superd.config.legacy.systemd.words import WordError, command_of, resolve, split_words, unescaped
from superd.config.legacy.wishes import Wishes

_HEAD = (
    "systemd lets a socket unit fail, until somebody resets it, when its service is started too often (200 times in 2 "
    "s with Accept=yes, else 20). superd refuses what is over limits.rate, and no client can switch a service off.",
)
_DEFAULT_CONNECTIONS = 64  # MaxConnections=
_VARIABLE_LINE = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)=(.*)")


def read_unit(file: str, content: bytes, surroundings: Surroundings, wishes: Wishes) -> Carried:
    """Import a .socket unit; its service is found beside it, or where systemd looks.

    Args:
        file: its name, which tells the unit's.
        content: what is in it.
        surroundings: how other files are read.
        wishes: the options of the import; none concerns it.
    """
    unit = read_unit_file(file, content, surroundings)
    if not unit.has_sockets:
        return _no_socket(file, unit, surroundings)
    making = _Making(unit, os.path.dirname(file), surroundings)
    service = making.table()
    return Carried(
        dialect="systemd",
        services=(service,),
        head=_HEAD,
        remarks=tuple(making.remarks),
        files=tuple(dict.fromkeys(making.files)),
    )


def _no_socket(file: str, unit: Unit, surroundings: Surroundings) -> Carried:
    """A service by itself: its socket is what is imported, if there is one."""
    beside = os.path.dirname(file)
    remarks = []
    if find_unit(f"{unit.prefix}.socket", beside, surroundings) is None:
        reason = "no socket starts this unit; superd starts what somebody connects to"
        remarks.append(Remark(Origin(file, 0), Fate.NOT_CARRIED, reason))
    return Carried(dialect="systemd", remarks=tuple(remarks), files=(file,))


@mutable
class _Making:
    """One service under way."""

    socket: Unit
    beside: str
    surroundings: Surroundings
    remarks: list[Remark] = field(factory=list)
    files: list[str] = field(factory=list)
    keys: dict[str, object] = field(factory=dict)
    sandbox: dict[str, object] = field(factory=dict)
    name: str = field(init=False)
    _listened: list[str] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.name = fresh_name(self.socket.stem.replace("@", "-"), ())
        self.files += self.socket.files

    def table(self) -> ServiceTable:
        origin = Origin(self.socket.files[0], 0)
        self.remarks += [evolve(remark, service=self.name) for remark in self.socket.remarks]
        self._rows(self.socket, "Socket", directives.SOCKET, self.socket)
        listens = self._listens()
        service = self._service()
        if service is None or not listens:
            if service is not None:
                self._tell(origin, Fate.FAULT, "it listens on nothing that superd knows")
            return ServiceTable(self.name, nested({"listen": listens, **self.keys}), origin, remains_out=True)
        self.keys["listen"] = self._listened = listens
        self._serve(service)
        if self.sandbox:
            self.keys["sandbox"] = self.sandbox
        return ServiceTable(self.name, nested(self.keys), origin)

    def _tell(self, origin: Origin, fate: Fate, reason: str, key: str = "") -> None:
        self.remarks.append(Remark(origin, fate, reason, self.name, key))

    def _off(self, origin: Origin, reason: str) -> None:
        self._tell(origin, Fate.NOT_CARRIED, f"{reason}; the service is off")
        self.keys["enabled"] = False

    @property
    def _accepts(self) -> bool:
        return self.socket.is_set("Socket", "Accept")

    def _known(self, unit: Unit) -> dict[str, str]:
        """The specifiers of a unit; those of a template's instance only where it has one."""
        known = {"p": unit.prefix, "P": unescaped(unit.prefix)}
        if unit.instance is not None:
            last = unit.stem.rpartition("-")[2]
            known.update(
                i=unit.instance,
                I=unescaped(unit.instance),
                n=unit.name,
                N=unit.stem,
                j=last,
                J=unescaped(last),
            )
        return known

    def _rows(
        self, unit: Unit, section: str, rows: Mapping[str, tuple[str, directives.Parse]], named: Unit
    ) -> None:
        """What one value each becomes; all that has no row is said."""
        for one in unit.assignments:
            if one.section == section and one.name in rows:
                continue
            known = directives.ELSEWHERE | directives.QUIET | set(directives.LISTS) | CARRIED
            if one.name not in known and one.value:
                self._without_row(one)
        for name, (key, parse) in rows.items():
            found = unit.all(section, name)
            if found:
                self._carry(found[-1], key, parse, named)

    def _carry(self, one: Assignment, key: str, parse: Callable[[str], object], named: Unit) -> None:
        try:
            self.keys[key] = parse(resolve(one.value, self._known(named)))
        except WordError as error:
            self._tell(one.origin, Fate.NOT_CARRIED, f"{one.name}: {error}")

    def _without_row(self, one: Assignment) -> None:
        if one.section in ("Unit", "Install"):
            if one.name.startswith(("Condition", "Assert")):
                self._tell(
                    one.origin, Fate.NOT_CARRIED, f"{one.name}: superd asks no conditions before it listens"
                )
            return
        if one.name not in directives.SANDBOX:
            self._tell(one.origin, Fate.NOT_CARRIED, f"{one.name} has no counterpart")
            return
        self._tell(one.origin, Fate.NOT_CARRIED, f"{one.name}: superd's sandbox has nothing like it")

    def _sandbox(self, unit: Unit, named: Unit) -> None:
        """[sandbox]: only what superd takes, since a faulty value would switch the service off."""
        known = self._known(named)
        try:
            for one in sandbox_of(unit, lambda text: resolve(text, known)):
                if one.problem:
                    name = one.last.name
                    self._tell(
                        one.last.origin, Fate.NOT_CARRIED, f"{name}: {one.problem}", f"sandbox.{one.key}"
                    )
                else:
                    self.sandbox[one.key] = one.value
        except WordError as error:
            self._tell(Origin(unit.files[0], 0), Fate.NOT_CARRIED, f"its sandbox: {error}")

    def _listens(self) -> list[str]:
        """The listeners, in the order of the unit; an empty assignment of any takes all back."""
        found: list[str] = []
        six_only = self.socket.last("Socket", "BindIPv6Only") == "ipv6-only"
        protocol = self.socket.last("Socket", "SocketProtocol")
        for one in (one for one in self.socket.assignments if one.section == "Socket"):
            if not one.name.startswith("Listen"):
                continue
            if not one.value:
                found = []
                continue
            if one.name not in LISTENING or protocol not in ("", "tcp", "udp"):
                continue  # said already, with all that has no counterpart
            try:
                found.append(
                    listen_of(one.name, resolve(one.value, self._known(self.socket)), six_only=six_only)
                )
            except WordError as error:
                self._tell(one.origin, Fate.NOT_CARRIED, f"{one.value}: {error}")
        if protocol not in ("", "tcp", "udp"):
            self._tell(Origin(self.socket.files[0], 0), Fate.NOT_CARRIED, f"superd has no {protocol}")
        return list(dict.fromkeys(found))

    def _service(self) -> Unit | None:
        """The unit that is started."""
        stem, accepts = self.socket.stem, self._accepts
        name = self.socket.last("Socket", "Service") or (f"{stem}@.service" if accepts else f"{stem}.service")
        unit = find_unit(name, self.beside, self.surroundings)
        if unit is None or not unit.all("Service", "ExecStart"):
            lacks = f"there is no {name}" if unit is None else f"{name} starts nothing"
            self._tell(Origin(self.socket.files[0], 0), Fate.FAULT, lacks)
            return None
        self.files += unit.files
        self.remarks += [evolve(remark, service=self.name) for remark in unit.remarks]
        return unit

    def _serve(self, unit: Unit) -> None:
        self._rows(unit, "Service", directives.SERVICE, unit)
        self._sandbox(unit, unit)
        for name, (key, parse) in directives.LISTS.items():
            words: list[object] = []
            for one in unit.all("Service", name):
                self._carry(one, key, parse, unit)
                found = self.keys.get(key)
                words += found if isinstance(found, list) else []
            if words:
                self.keys[key] = words
        variables = self._environment(unit)
        self._command(unit, variables)
        self._whom(unit)
        self._how(unit)
        self._limits()
        self._access(unit)

    def _access(self, unit: Unit) -> None:
        """Whom the firewall of the units lets through."""
        origin = Origin(unit.files[0], 0)
        try:
            rules = rules_of(((self.socket, "Socket"), (unit, "Service")))
        except WordError as error:
            self._off(origin, str(error))
            return
        if rules and not self._accepts and not all(map(_is_datagram, self._listened)):
            self._off(
                origin,
                "superd does not see who connects to a program that owns its socket, and keeps nobody away",
            )
        elif rules:
            self._tell(
                origin, Fate.NOTED, "systemd drops packets of others; superd refuses their connections"
            )
            self.keys.update(rules)

    def _environment(self, unit: Unit) -> dict[str, str]:
        """``environment`` and ``environment_file``; returns all that is known of both, for the command line."""
        variables: dict[str, str] = {}
        for one in unit.all("Service", "Environment"):
            try:
                words = [resolve(word, self._known(unit)) for word in split_words(one.value)]
            except WordError as error:
                self._tell(one.origin, Fate.NOT_CARRIED, f"Environment: {error}")
                continue
            pairs = (word.partition("=") for word in words if "=" in word)
            variables.update({name: value for name, _, value in pairs})
        own = {name: value for name, value in variables.items() if not name.startswith("LISTEN_")}
        if own:
            self.keys["environment"] = own
        for one in unit.all("Service", "EnvironmentFile"):
            variables.update(self._environment_file(one))
        return variables

    def _environment_file(self, one: Assignment) -> dict[str, str]:
        path = one.value.removeprefix("-")
        try:
            text = self.surroundings.read(path).decode(errors="replace")
        except LegacyError as error:
            if not one.value.startswith("-"):
                self._off(one.origin, f"{path}: {error.fault.problem}")
            else:
                reason = f"{path} is not there, and need not be; superd reads no such file"
                self._tell(one.origin, Fate.CARRIED, reason)
            return {}
        if "environment_file" in self.keys:
            self._tell(one.origin, Fate.NOT_CARRIED, "superd reads one file of variables")
        else:
            self.keys["environment_file"] = path
        matches = (_VARIABLE_LINE.fullmatch(line) for line in text.splitlines())
        return {match[1]: match[2].strip().strip("\"'") for match in matches if match}

    def _command(self, unit: Unit, variables: Mapping[str, str]) -> None:
        one, *more = unit.all("Service", "ExecStart")
        for other in more:
            self._tell(other.origin, Fate.NOT_CARRIED, "superd starts one program")
        try:
            command, missing = command_of(one.value, self._known(unit), variables)
        except WordError as error:
            self._tell(one.origin, Fate.FAULT, f"ExecStart: {error}")
            self.keys.update(exec=[one.value], enabled=False)
            return
        self.keys["exec"] = list(command.argv)
        if command.argv[0] != command.path:
            self.keys["exec_path"] = command.path
        if "+" in command.marks and unit.last("Service", "User"):
            self._tell(
                one.origin, Fate.NOTED, "with + systemd starts it as root, whatever User= says", "user"
            )
            self.keys["user"] = "root"
            self.keys.pop("group", None)
        if "$" in one.value and ":" not in command.marks:
            lacking = f" ({', '.join(missing)} had none)" if missing else ""
            self._tell(
                one.origin, Fate.NOTED, f"variables stand here with the values they have now{lacking}", "exec"
            )

    def _whom(self, unit: Unit) -> None:
        origin = Origin(unit.files[0], 0)
        if unit.is_set("Service", "DynamicUser"):
            if self.keys.pop("user", None):
                reason = "User= only names the user that DynamicUser= makes; superd's has no name"
                self._tell(origin, Fate.CARRIED, reason, "sandbox.dynamic_user")
            self.keys.pop("group", None)
        elif "user" not in self.keys:
            self._tell(origin, Fate.CARRIED, "without User= systemd starts it as root", "user")
            self.keys["user"] = "root"

    def _how(self, unit: Unit) -> None:
        """What the program is given: a connection, or the listening sockets."""
        origin = Origin(unit.files[0], 0)
        if unit.last("Service", "Type") == "forking":
            self._off(origin, "Type=forking: superd takes a program that goes to the background for ended")
        if not self._accepts:
            self.keys["mode"] = "wait"
            for key in ("limits.max_connections", "limits.max_connections_per_source"):
                self.keys.pop(key, None)
            return
        self.keys.pop("file_descriptor_name", None)
        if unit.last("Service", "StandardInput") not in ("socket", "inherit"):
            self._off(origin, "without StandardInput=socket the program looks for its connection at descriptor 3, and "
                      "superd gives it as standard input and output")  # fmt: skip
        total = self.keys.setdefault("limits.max_connections", _DEFAULT_CONNECTIONS)
        each = self.keys.get("limits.max_connections_per_source")
        if not isinstance(each, int) or not isinstance(total, int) or not 0 < each <= total:
            self.keys.pop("limits.max_connections_per_source", None)
            if isinstance(total, int) and total < 64:  # what superd allows a source by itself
                self.keys["limits.max_connections_per_source"] = total

    def _limits(self) -> None:
        wire = trip_wire(self.socket, accepts=self._accepts)
        if wire is not None:
            self.keys.update({"limits.rate": wire.rate, "limits.burst": wire.burst})
            reason = "over it systemd's unit fails; superd refuses what is too much"
            self._tell(wire.origin, Fate.NOTED, reason, "limits.rate")


def _is_datagram(listen: str) -> bool:
    return listen.startswith(("udp", "unix-dgram"))
