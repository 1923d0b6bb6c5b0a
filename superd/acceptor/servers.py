"""What serves connections in this process itself: which service has what."""

from __future__ import annotations

from superd.acceptor.backends import Backends
from superd.acceptor.builtins.serving import Builtins
from superd.acceptor.forward import Forwards
from superd.acceptor.services import Service
from superd.acceptor.sessions import Sessions
from superd.wire.messages import ServiceSettings


class Servers:
    """Gives each service its server, and takes it away again."""

    def __init__(
        self, builtins: Builtins, forwards: Forwards, sessions: Sessions, backends: Backends
    ) -> None:
        self._builtins = builtins
        self._forwards = forwards
        self._sessions = sessions
        self._backends = backends

    def attach(self, service: Service, settings: ServiceSettings) -> None:
        """The service is what the settings say from now on."""
        self._builtins.attach(service, settings.builtin)
        if not settings.builtin:
            is_datagram = settings.forward.startswith("udp:")
            service.server = self._forwards.admit if settings.forward and not is_datagram else None
            service.hears = self._sessions.hear if is_datagram else None
        self.replace(service, settings)

    def replace(self, service: Service, settings: ServiceSettings) -> None:
        """The settings of a service are others, whether it is on or off."""
        old, service.settings = service.settings, settings
        if settings.forward or old.forward:  # all services are asked then, and most lead nowhere
            self._backends.update()

    def leave(self, service: Service) -> None:
        """The service is off, or about to go."""
        self._builtins.leave(service)

    def gone(self, service: Service) -> None:
        """A service was forgotten."""
        if service.settings.forward:
            self._backends.update()
