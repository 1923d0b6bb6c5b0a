"""What superctl may ask for, and the answers."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import trio

from superd import __version__
from superd.acceptor.control import Answer, Command, Right
from superd.acceptor.report import explain, status
from superd.acceptor.services import Service
from superd.wire.messages import ReloadResult, ReloadWanted, StopWanted


class Commands:
    """Answers the control socket.

    Args:
        services: all services, by id; looked at whenever something is asked.
        config_file: to be shown.
        say: tells the master.
    """

    def __init__(
        self, services: Mapping[int, Service], config_file: str, say: Callable[[object], None]
    ) -> None:
        self._services = services
        self._config_file = config_file
        self._say = say
        self._reloads: dict[int, trio.MemorySendChannel[ReloadResult]] = {}
        self._reload_number = 0

    def table(self) -> Mapping[str, Command]:
        """The commands by name, with the right each takes."""
        return {
            "status": Command(Right.READ, self._status),
            "explain": Command(Right.READ, self._explain),
            "reload": Command(Right.CHANGE, self._reload),
            "stop": Command(Right.CHANGE, self._stop),
        }

    async def _status(self, _: Mapping[str, Any]) -> Answer:
        about = {"version": __version__, "config": self._config_file, "master": os.getppid()}
        return {"ok": True, "superd": about, "services": status(self.shown())}

    async def _explain(self, request: Mapping[str, Any]) -> Answer:
        service = self.find(request.get("service"))
        return (
            self.unknown(request.get("service"))
            if service is None
            else {"ok": True, "service": explain(service)}
        )

    def shown(self) -> list[Service]:
        """The services that the configuration holds."""
        return [service for service in self._services.values() if not service.retired]

    def find(self, name: object) -> Service | None:
        """A service by its name."""
        return next((service for service in self.shown() if service.settings.name == name), None)

    def unknown(self, name: object) -> Answer:
        """The answer to who names a service that does not exist."""
        names = ", ".join(service.settings.name for service in self.shown())
        return {
            "ok": False,
            "error": "no-service",
            "lines": [f"no service {name!r}; there are: {names or 'none'}"],
        }

    async def _reload(self, _: Mapping[str, Any]) -> Answer:
        self._reload_number += 1
        number = self._reload_number
        send, receive = trio.open_memory_channel[ReloadResult](1)
        self._reloads[number] = send
        self._say(ReloadWanted(number))
        result = await receive.receive()
        return {"ok": result.ok, "error": "" if result.ok else "faults", "lines": list(result.lines)}

    def reloaded(self, result: ReloadResult) -> None:
        """The master has answered."""
        waiting = self._reloads.pop(result.request, None)
        if waiting is not None:
            waiting.send_nowait(result)

    async def _stop(self, request: Mapping[str, Any]) -> Answer:
        self._say(StopWanted(bool(request.get("children"))))
        return {"ok": True, "master": os.getppid(), "lines": ["stopping"]}
