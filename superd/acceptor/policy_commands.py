"""What superctl may ask about limits and access, and change of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import monotonic_ns
from typing import Any

from superd.acceptor.control import Answer, Command, Right
from superd.acceptor.policies import Policies
from superd.acceptor.services import Service
from superd.acceptor.standing import ban_shown, bans, standing
from superd.errors import ConfigError, UnitError
from superd.policy.decision import Client
from superd.policy.networks import address_text, parse_address

MAX_SECONDS = 100 * 366 * 86_400.0
YEAR_9999 = 253_402_300_799
"""Its last second, since the epoch: localtime(3) knows no later one on some systems, and superctl sends none."""


class PolicyCommands:
    """Answers the control socket.

    Args:
        find: a service by its name; None when there is none.
        services: all that there are.
    """

    def __init__(
        self,
        policies: Policies,
        services: Callable[[], list[Service]],
        find: Callable[[object], Service | None],
        unknown: Callable[[object], Answer],
    ) -> None:
        self._policies = policies
        self._services = services
        self._find = find
        self._unknown = unknown

    def table(self) -> Mapping[str, Command]:
        """The commands by name, with the right each takes."""
        return {
            "limits": Command(Right.READ, self._limits),
            "bans": Command(Right.READ, self._bans),
            "who-may": Command(Right.READ, self._who_may),
            "tune": Command(Right.CHANGE, self._tune),
            "unban": Command(Right.CHANGE, self._unban),
        }

    async def _limits(self, request: Mapping[str, Any]) -> Answer:
        name = request.get("service")
        if name is None:
            services = self._services()
        else:
            service = self._find(name)
            if service is None:
                return self._unknown(name)
            services = [service]
        shown = {one.settings.name: standing(one, self._policies.tuning(one)) for one in services}
        return {"ok": True, "services": shown}

    async def _bans(self, _: Mapping[str, Any]) -> Answer:
        shown, more = bans(self._services())
        return {"ok": True, "bans": shown, "more": more}

    async def _who_may(self, request: Mapping[str, Any]) -> Answer:
        service = self._find(request.get("service"))
        if service is None:
            return self._unknown(request.get("service"))
        address, at = request.get("address"), request.get("at")
        if at is not None and not (isinstance(at, int | float) and abs(at) <= YEAR_9999):
            return _refuse("no such time")
        try:
            version, value = parse_address(str(address))
        except UnitError as error:
            return _refuse(f"{address}: {error}")
        client = Client(0, version, value)
        decision = self._policies.ask(service, client, at)
        ban = service.engine.ban(client, monotonic_ns())
        return {
            "ok": True,
            "service": service.settings.name,
            "address": address_text(version, value),
            "allowed": decision.reason is None,
            "reason": decision.reason,
            "rule": decision.rule,
            "penalised": None if ban is None else ban_shown(service, ban),
        }

    async def _tune(self, request: Mapping[str, Any]) -> Answer:
        service = self._find(request.get("service"))
        if service is None:
            return self._unknown(request.get("service"))
        values, seconds = request.get("values"), request.get("seconds")
        is_span = isinstance(seconds, int | float) and 0 < seconds <= MAX_SECONDS
        if not isinstance(values, dict) or not (seconds is None or is_span):
            return _refuse("not a request that this superd knows")
        try:
            self._policies.tune(
                service,
                _dotted(values),
                seconds,
                saved=bool(request.get("saved")),
                reset=bool(request.get("reset")),
            )
        except ConfigError as error:
            return {"ok": False, "error": "faults", "lines": [str(fault) for fault in error.faults]}
        return {
            "ok": True,
            "services": {service.settings.name: standing(service, self._policies.tuning(service))},
        }

    async def _unban(self, request: Mapping[str, Any]) -> Answer:
        source, now, freed = str(request.get("source")), monotonic_ns(), []
        try:
            for service in self._services():
                for ban in service.engine.bans_of(source, now):
                    service.engine.pardon(ban.key)
                    freed.append({"service": service.settings.name, "source": service.engine.source(ban.key)})
        except UnitError as error:
            return _refuse(f"{source}: {error}")
        return {"ok": True, "freed": freed}


def _dotted(values: Mapping[str, Any]) -> dict[str, Any]:
    """A bare key is one of ``[limits]``."""
    return {key if "." in key else f"limits.{key}": value for key, value in values.items()}


def _refuse(text: str) -> Answer:
    return {"ok": False, "error": "bad-request", "lines": [text]}
