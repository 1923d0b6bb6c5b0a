"""A service of xinetd as a service of superd.

Most attributes carry their keys themselves (``attributes.py``); here is what needs several of them, or is done
differently on purpose.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from attrs import field, mutable

from superd.config.legacy.carried import Fate, Remark, ServiceTable, nested
from superd.config.legacy.surroundings import Surroundings
from superd.config.legacy.wishes import Wishes
from superd.config.legacy.xinetd.listening import Listening, NowhereError
from superd.config.legacy.xinetd.resolve import Held, Resolved
from superd.config.legacy.xinetd.serving import server_of

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OF_PROGRAMS = ("mode", "user", "group", "init_groups", "umask", "nice", "environment", "pass_environment")
_OF_NOWAIT = ("limits.max_connections", "limits.banner_limited", "access.banner_denied", "banner")
_OF_PEERS = (
    "limits.max_connections_per_source",
    "access.allow",
    "access.deny",
    "access.hours",
    "access.hosts_access",
)
_NO_ONE = "an empty only_from: xinetd listens, and refuses everybody. superd has no such list, so the service is off"


@mutable
class Translation:
    """Translates one service.

    Args:
        service: with everything from defaults.
        name: what superd calls it.
        surroundings: of the file.
        defaults: the keys of ``[defaults]`` that will be written, by dotted name.
        off: why it is switched off from outside; empty when it is not.
        wishes: the options of the import.
    """

    service: Resolved
    name: str
    surroundings: Surroundings
    defaults: Mapping[str, object]
    off: str
    wishes: Wishes
    remarks: list[Remark] = field(factory=list)

    def table(self) -> ServiceTable:
        """The service; its remarks are then in ``remarks``."""
        remarks = self.service.remarks
        at = {held.origin: _key(name, held) for name, held in self.service.held.items()} if remarks else {}
        for remark in remarks:
            key = at.get(remark.origin, "")
            self.remarks.append(Remark(remark.origin, remark.fate, remark.reason, self.name, key))
        try:
            listening = Listening(self.service, self.surroundings, self.wishes, self._say)
            keys = {
                "listen": listening.listens(),
                **server_of(self.service, self._say, faithful=self.wishes.faithful),
            }
        except NowhereError as error:
            self._tell(error.fate, error.reason)
            return ServiceTable(self.name, self._unserved(), self.service.stanza.origin, remains_out=True)
        keys.update(self._simple())
        keys.update(self._account(keys))
        keys.update(self._mode(listening.transport))
        keys.update(self._environment())
        keys.update(self._flags(listening.transport))
        keys.update(self._access())
        keys = self._usable(keys, listening.transport)
        if self._is_off(keys, listening.transport):
            keys["enabled"] = False
        differing = {key: value for key, value in keys.items() if self.defaults.get(key, self) != value}
        return ServiceTable(self.name, nested(differing), self.service.stanza.origin)

    def _unserved(self) -> dict[str, object]:
        """What can be said of a service that superd cannot have, for the comment it becomes."""
        server = self.service.word("server")
        return {"exec": [server, *self.service.items("server_args")]} if server else {"enabled": False}

    def _tell(self, fate: Fate, reason: str, key: str = "") -> None:
        self.remarks.append(Remark(self.service.stanza.origin, fate, reason, self.name, key))

    def _say(self, fate: Fate, reason: str, attribute: str) -> None:
        held = self.service.held.get(attribute)
        origin = held.origin if held else self.service.stanza.origin
        key = _key(attribute, held) if held else ""
        self.remarks.append(Remark(origin, fate, reason, self.name, key))

    def _simple(self) -> dict[str, object]:
        """What the attributes themselves know."""
        keys = {key: value for held in self.service.held.values() for key, value in held.reading.keys.items()}
        held = self.service.held
        if "banner" in held and "banner_success" in held:
            keys["banner"] = self.service.word("banner_success")
            self._say(
                Fate.NOT_CARRIED, "xinetd shows banner and then banner_success; superd shows one", "banner"
            )
        if "banner" in held:
            keys.setdefault("access.banner_denied", self.service.word("banner"))
        if "log_type" in held and held["log_type"].is_own:
            self._say(Fate.NOT_CARRIED, "superd has one log for all services", "log_type")
        total, each = keys.get("limits.max_connections"), keys.get("limits.max_connections_per_source")
        if isinstance(total, int) and isinstance(each, int) and each > total:
            keys["limits.max_connections_per_source"] = total
        return keys

    def _account(self, keys: Mapping[str, object]) -> dict[str, object]:
        user = self.service.word("user")
        if not user and "exec" in keys:
            self._tell(Fate.FAULT, "no user; xinetd disables it")
            return {"enabled": False}
        if user.isdigit() and "group" not in self.service.held:
            self._say(Fate.CARRIED, "xinetd takes the number of a user for its group too", "user")
            return {"group": user}
        return {}

    def _mode(self, transport: str) -> dict[str, object]:
        wait = self.service.word("wait")
        if not wait:
            self._tell(Fate.FAULT, "neither wait = yes nor wait = no; xinetd disables it")
            return {"enabled": False, "mode": "wait" if transport == "udp" else "nowait"}
        if wait == "no" and transport == "udp" and self._serving == "exec":
            self._say(Fate.FAULT, "xinetd disables a dgram service without wait = yes", "wait")
            return {"enabled": False, "mode": "wait"}
        return {"mode": "wait"} if wait == "yes" else {}

    @property
    def _serving(self) -> str:
        held = self.service
        if "redirect" in held.held:
            return "forward"
        return "builtin" if "INTERNAL" in held.items("type") else "exec"

    def _environment(self) -> dict[str, object]:
        keys: dict[str, object] = {}
        variables = {}
        for item in self.service.items("env"):
            variable, _, value = item.partition("=")
            if _VARIABLE.fullmatch(variable):
                variables[variable] = value
            else:
                self._say(Fate.NOT_CARRIED, f"{variable} is no name of a variable", "env")
        if variables:
            keys["environment"] = variables
        return keys

    def _flags(self, transport: str) -> dict[str, object]:
        flags, keys = self.service.items("flags"), dict[str, object]()
        if "NOLIBWRAP" in flags:
            keys["access.hosts_access"] = False
        elif "libwrap" in self.service.held:
            self._say(Fate.NOT_CARRIED, f"hosts.allow and hosts.deny know the service by the name of its program, "
                      f"or as {self.name}", "libwrap")  # fmt: skip
        if transport == "tcp":
            keys.update({key: True for flag, key in _SOCKET.items() if flag in flags})
        for flag, reason in _LOST.items():
            if flag in flags:
                self._say(Fate.NOT_CARRIED, reason, "flags")
        if "IDONLY" in flags:
            keys["enabled"] = False
        return keys

    def _access(self) -> dict[str, object]:
        keys: dict[str, object] = {}
        if "only_from" in self.service.held and not self.service.items("only_from"):
            self._say(Fate.NOTED, _NO_ONE, "only_from")
            keys["enabled"] = False
        elif self.service.items("only_from") and self.service.items("no_access"):
            self._say(Fate.NOTED, "xinetd refuses whoever is on both lists; with superd the more specific item counts, "
                      "as xinetd.conf(5) says, and a tie refuses", "no_access")  # fmt: skip
        return keys

    def _usable(self, keys: dict[str, object], transport: str) -> dict[str, object]:
        """Without what means nothing to such a service, and without empty lists."""
        unusable = set() if "exec" in keys else set(_OF_PROGRAMS)
        if keys.get("mode") == "wait" and "exec" in keys:
            unusable |= set(_OF_NOWAIT)
            if transport == "tcp":
                self._blind(keys)
                unusable |= set(_OF_PEERS)
            elif {"access.allow", "access.deny"} & set(keys):
                self._tell(
                    Fate.CARRIED,
                    "xinetd asks who sent the first datagram while no program runs, as superd does",
                )
        if transport == "udp":
            unusable |= {"limits.banner_limited", "access.banner_denied", "banner"}
        return {key: value for key, value in keys.items() if key not in unusable and value != []}

    def _blind(self, keys: dict[str, object]) -> None:
        """A program that is given the listening socket of a stream: superd never sees who comes."""
        if not {"access.allow", "access.deny"} & set(keys) and "only_from" not in self.service.held:
            return
        if "INTERCEPT" in self.service.items("flags"):
            self._tell(Fate.FAULT, "xinetd stands between this program and its clients to keep some away; superd gives "
                       "it the listening socket and sees none of them. It stays off")  # fmt: skip
            keys["enabled"] = False
        else:
            self._tell(Fate.NOTED, "only_from and no_access hold for no client of a stream service with wait = yes: "
                       "the program takes the connections itself. So it is with superd")  # fmt: skip

    def _is_off(self, keys: Mapping[str, object], transport: str) -> bool:
        if self.service.is_off:
            self._say(Fate.DISABLED, "", "disable")
        elif self.off:
            self._tell(Fate.DISABLED, self.off)
        elif self.service.faults:
            self._tell(
                Fate.NOTED,
                f"off, since xinetd does not run it: {'; '.join(dict.fromkeys(self.service.faults))}",
            )
        else:
            return keys.get("enabled") is False
        return True


_KEYS = {"server": "exec", "server_args": "exec", "port": "listen", "bind": "listen", "env": "environment",
         "redirect": "forward", "wait": "mode"}  # fmt: skip


def _key(attribute: str, held: Held) -> str:
    """The key that an attribute became, for what is to be said about it."""
    return next(iter(held.reading.keys), _KEYS.get(attribute, ""))


_SOCKET = {"NODELAY": "socket.no_delay", "KEEPALIVE": "socket.keep_alive"}
_LOST = {
    "IDONLY": "superd asks no client who he says he is; since others are refused, the service is off",
    "LABELED": "superd starts no program under the label of its client",
}
