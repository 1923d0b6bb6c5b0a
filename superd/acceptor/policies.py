"""What feeds the engines: rules from the master, changes on the live system, names, hosts.allow, hours and load."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from time import monotonic_ns

from attrs import define

from superd.acceptor.counts import Counts, parse_counts
from superd.acceptor.hosts import Hosts
from superd.acceptor.names import Addresses, Answer, Names
from superd.acceptor.services import Service
from superd.acceptor.sharing import calendar_of, share_policy
from superd.acceptor.timers import Timer, Timers
from superd.acceptor.tuning import MAX_NOTE_BYTES, UNTUNED, Tuning, parse_note
from superd.config.model import Builtin
from superd.config.quotes import split_quotes
from superd.config.tuning import retune
from superd.errors import ConfigError, Fault
from superd.log import EventName, Level, Logger
from superd.policy.calendar import Calendar
from superd.policy.decision import Client, Decision, Total
from superd.policy.rules import UNLIMITED, Access, Limits, ProxyProtocol
from superd.wire.policies import HostsFiles, Keep, ServicePolicy

TICK_S = 1.0
"""How often load and hours are looked at, where a service asks for them."""


@define(eq=False)
class Ruled:
    """A service, what the master says of it, and what was changed since.

    Args:
        counted: the counts that the master was told last.
    """

    service: Service
    policy: ServicePolicy
    calendar: Calendar
    tuning: Tuning
    counted: str = ""
    expiry: Timer | None = None


class Policies:
    """Keeps every service's engine up to date.

    Args:
        clock: wall clock, seconds since the epoch.
        ask: has a host name looked up.
        say: tells the master.
        look_again: asked whether a service may be polled now, or an instance of it started.
    """

    def __init__(
        self,
        log: Logger,
        timers: Timers,
        clock: Callable[[], float],
        ask: Callable[[str, Answer], None],
        say: Callable[[object], None],
        look_again: Callable[[Service], None],
    ) -> None:
        self.total = Total()
        self._log = log
        self._timers = timers
        self._clock = clock
        self._say = say
        self._look_again = look_again
        self._ruled: dict[int, Ruled] = {}
        self._hosts = Hosts(log)
        self._names = Names(log, timers, ask, self._wanted_names, self._name_changed)
        self._ticking = False

    # --- what the master says ---

    def told(self, service: Service, message: ServicePolicy) -> None:
        """The rules of a service, new or changed."""
        message = share_policy(message)
        ruled = self._ruled.get(service.id)
        if ruled is None:
            ruled = self._ruled[service.id] = Ruled(service, message, calendar_of(()), UNTUNED)
            tuned, _, counted = message.note.partition("\n")
            ruled.tuning = self._tuned(ruled, tuned)
            self._count_on(ruled, counted)
        elif _other_rules(ruled.policy, message):
            ruled.tuning = ruled.tuning.unsaved()  # the configuration holds the rest now
            self._leave(ruled)
        ruled.policy = message
        self._apply(ruled)

    def _tuned(self, ruled: Ruled, text: str) -> Tuning:
        """What an earlier acceptor had the master keep, as far as it still holds."""
        try:
            return parse_note(text).at(self._clock())
        except ValueError as error:
            self._warn(ruled, f"what was tuned is given up: {error}")
            return UNTUNED

    def _count_on(self, ruled: Ruled, counted: str) -> None:
        """Go on from what an earlier acceptor had counted."""
        try:
            counts = parse_counts(counted) if counted else Counts()
        except ValueError as error:
            self._warn(ruled, f"what was counted is given up: {error}")
            return
        ruled.service.accepted += counts.accepted
        ruled.service.refused.update(counts.refused)
        ruled.counted = _counted(ruled.service)

    def hosts_told(self, message: HostsFiles) -> None:
        """hosts.allow and hosts.deny, which the master found in order."""
        self._hosts.take(message)
        self._names.update()
        for name in self._wanted_names():
            self._hosts.resolved(name, self._names.known(name))
        for ruled in self._ruled.values():
            self._settle(ruled)

    def forget(self, service: Service) -> None:
        """A service is gone."""
        ruled = self._ruled.pop(service.id, None)
        if ruled is None:
            return
        if ruled.expiry is not None:
            ruled.expiry.cancel()
        if self._names_of(ruled):
            self._names.update()

    # --- what an administrator says ---

    def tuning(self, service: Service) -> Tuning:
        """What was changed on the live system."""
        return self._ruled[service.id].tuning if service.id in self._ruled else UNTUNED

    def tune(
        self,
        service: Service,
        values: Mapping[str, object],
        seconds: float | None,
        *,
        saved: bool,
        reset: bool = False,
    ) -> None:
        """Other values from now on, above those of the configuration.

        Args:
            values: by dotted key, as ``config.tuning.retune`` takes them.
            seconds: for how long; None: until superd ends, or they are reset.
            saved: they are being written into the configuration too: once that is read anew, they are its own.
            reset: all that was tuned before is taken back.

        Raises:
            ConfigError: with every fault of the values, or the service is off; nothing was changed.
        """
        ruled = self._ruled.get(service.id)
        if ruled is None:
            raise ConfigError([Fault("tune", service.settings.name, "the service is off", "mend it first")])
        until = None if seconds is None else self._clock() + seconds
        before = UNTUNED if reset else ruled.tuning
        tuning = before.set(values, until, saved=saved)
        self._rules(ruled, tuning)
        if tuning.note_bytes > MAX_NOTE_BYTES:
            problem = f"all that is tuned would take {tuning.note_bytes} bytes of {MAX_NOTE_BYTES}"
            raise ConfigError(
                [Fault("tune", service.settings.name, problem, "write it in the configuration and reload")]
            )
        self._keep(ruled, tuning)

    def _keep(self, ruled: Ruled, tuning: Tuning) -> None:
        """Put a tuning into force, and have the master keep it for the next acceptor."""
        ruled.tuning = tuning
        self._leave(ruled)
        self._apply(ruled)

    def _leave(self, ruled: Ruled) -> None:
        """Leave a note for the next acceptor: a line of what was tuned, and one of what was counted."""
        ruled.counted = _counted(ruled.service)
        self._say(Keep(ruled.service.id, f"{ruled.tuning.note()}\n{ruled.counted}"))

    def leave_counts(self) -> None:
        """Leave a note where something was counted since the last one. Called from time to time, so that an acceptor
        that is killed takes no more with it than what was counted since."""
        for ruled in self._ruled.values():
            if _counted(ruled.service) != ruled.counted:
                self._leave(ruled)

    def _rules(self, ruled: Ruled, tuning: Tuning) -> tuple[Limits, Access, ProxyProtocol]:
        policy = ruled.policy
        rules = policy.limits, policy.access, policy.proxy_protocol
        return retune(*rules, frozenset(ruled.service.settings.traits), tuning.values) if tuning else rules

    def ask(self, service: Service, client: Client, at: float | None) -> Decision:
        """What access says of a client, now or at another time (seconds since the epoch); nothing is counted."""
        ruled, engine = self._ruled.get(service.id), service.engine
        if ruled is None or at is None:
            return engine.ask_access(client)
        before, engine.hours_closed = engine.hours_closed, self._closed_at(ruled, at)
        try:
            return engine.ask_access(client)
        finally:
            engine.hours_closed = before

    # --- putting it into force ---

    def _apply(self, ruled: Ruled) -> None:
        service, policy = ruled.service, ruled.policy
        try:
            rules = self._rules(ruled, ruled.tuning)
        except ConfigError as error:  # it fits the service no longer
            self._warn(ruled, f"what was tuned is given up: {error}")
            ruled.tuning = UNTUNED
            self._leave(ruled)
            rules = self._rules(ruled, ruled.tuning)
        engine = service.engine
        named = self._names_of(ruled)
        engine.retune(*rules, monotonic_ns())
        service.banner_denied = policy.banner_denied.encode()
        service.banner_limited = policy.banner_limited.encode()
        is_quotes = service.settings.builtin == Builtin.QOTD and bool(policy.banner)
        service.banner = b"" if is_quotes else policy.banner.encode()
        service.quotes = split_quotes(policy.banner) if is_quotes else ()
        ruled.calendar = calendar_of(engine.access_rules.hours)
        self._arm_expiry(ruled)
        if named != self._names_of(ruled):  # every service's would be gone through, and most name nobody
            self._names.update()
        for name in engine.access.names:
            engine.access.resolved(name, self._names.known(name))
        self._settle(ruled)
        if not self._ticking and _asks_clock(ruled):
            self._ticking = True
            self._tick()

    def _arm_expiry(self, ruled: Ruled) -> None:
        if ruled.expiry is not None:
            ruled.expiry.cancel()
            ruled.expiry = None
        end = ruled.tuning.next_end
        if end is not None:
            left = max(0.0, end - self._clock())
            ruled.expiry = self._timers.after(left, lambda: self._expire(ruled))

    def _expire(self, ruled: Ruled) -> None:
        ruled.expiry = None
        left = ruled.tuning.at(self._clock())
        for key in ruled.tuning.passing.keys() - left.passing.keys():
            name = ruled.service.settings.name
            self._log.log(
                EventName.CONTROL, Level.NOTICE, "its time is over", command="tune", service=name, key=key
            )
        self._keep(ruled, left)

    def _settle(self, ruled: Ruled) -> None:
        """Whether a service's clients can be judged, and by whom."""
        service, engine = ruled.service, ruled.service.engine
        asks = engine.access_rules.hosts_access
        engine.ask_hosts = self._hosts.asker(service) if asks else None
        is_known = self._names.is_settled(self._names_of(ruled)) and not (asks and engine.ask_hosts is None)
        service.unready = "" if is_known else "names"
        self._tell_hour(ruled)
        self._look_again(service)

    # --- names ---

    def _names_of(self, ruled: Ruled) -> tuple[str, ...]:
        engine = ruled.service.engine
        asked = self._hosts.names(ruled.service) if engine.access_rules.hosts_access else ()
        return (*engine.access.names, *asked)

    def _wanted_names(self) -> Iterator[str]:
        for ruled in self._ruled.values():
            yield from self._names_of(ruled)

    def _name_changed(self, name: str, addresses: Addresses) -> None:
        self._hosts.resolved(name, addresses)
        for ruled in self._ruled.values():
            if name in ruled.service.engine.access.names:
                ruled.service.engine.access.resolved(name, addresses)
            if ruled.service.unready:
                self._settle(ruled)

    # --- hours and load ---

    def _tick(self) -> None:
        asking = [ruled for ruled in self._ruled.values() if _asks_clock(ruled)]
        self._ticking = bool(asking)
        if not asking:
            return
        self.total.load = os.getloadavg()[0]
        for ruled in asking:
            self._tell_hour(ruled)
        self._timers.after(TICK_S, self._tick)

    def _tell_hour(self, ruled: Ruled) -> None:
        ruled.service.engine.hours_closed = self._closed_at(ruled, self._clock())

    @staticmethod
    def _closed_at(ruled: Ruled, at: float) -> str:
        """The hours, if they do not admit at that time; else empty."""
        hours = ruled.service.engine.access_rules.hours
        when = time.localtime(at)
        if not hours or ruled.calendar.is_open(when.tm_wday, 60 * when.tm_hour + when.tm_min):
            return ""
        return "hours " + ", ".join(hours)

    def _warn(self, ruled: Ruled, text: str) -> None:
        self._log.log(EventName.WARNING, Level.WARNING, text, service=ruled.service.settings.name)


def _counted(service: Service) -> str:
    return str(Counts(service.accepted, service.refused))


def _asks_clock(ruled: Ruled) -> bool:
    engine = ruled.service.engine
    return bool(engine.access_rules.hours) or engine.limits.max_load != UNLIMITED


def _other_rules(one: ServicePolicy, other: ServicePolicy) -> bool:
    return (one.limits, one.access, one.proxy_protocol) != (other.limits, other.access, other.proxy_protocol)
