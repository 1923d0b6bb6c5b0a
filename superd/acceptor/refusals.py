"""Turning connections away: counted, logged, and closed as the administrator wants it."""

from __future__ import annotations

import os
import socket
import struct
from socket import AF_INET, SOCK_STREAM

from superd.acceptor.services import Listener, Service
from superd.log import EventName, Level, Logger, Value
from superd.policy.decision import Decision
from superd.policy.reason import OF_ACCESS, Reason
from superd.policy.rules import OnExcess

_LINGER_0 = struct.pack("ii", 1, 0)
_MOST_DRAINED = 64 * 1024


class Refusals:
    """Says and does what a refusal takes."""

    def __init__(self, log: Logger) -> None:
        self._log = log

    def refuse(self, listener: Listener, sock: int, source: str, port: int, decision: Decision) -> None:
        """Turn a connection away; its descriptor is closed."""
        service = listener.service
        reason = self.note(service, source, port, decision)
        banner = _banner(service, reason)
        if banner:
            _say(sock, banner)
        elif service.engine.limits.on_excess is OnExcess.RESET and reason not in OF_ACCESS:
            _reset(sock)
        os.close(sock)

    def note(self, service: Service, source: str, port: int, decision: Decision) -> Reason:
        """Count a refusal and say it; returns why."""
        reason = decision.reason
        assert reason is not None  # noqa: S101  only who is not admitted is refused
        service.refused[reason] += 1
        rule: dict[str, Value] = {"rule": decision.rule} if decision.rule else {}
        self._log.log(
            EventName.REFUSED,
            Level.INFO,
            reason=reason,
            service=service.settings.name,
            source=source,
            port=port,
            **rule,
        )
        return reason


def _banner(service: Service, reason: Reason) -> bytes:
    if reason is Reason.PROXY_HEADER:
        return b""
    return service.banner_denied if reason in OF_ACCESS else service.banner_limited


def _say(descriptor: int, banner: bytes) -> None:
    """Send what the kernel takes at once. What the client has sent is read, or closing would be a reset, and with
    that the kernel of the client throws the banner away."""
    sock = socket.socket(AF_INET, SOCK_STREAM, 0, fileno=descriptor)
    try:
        sock.send(banner, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        sock.shutdown(socket.SHUT_WR)
        sock.recv(_MOST_DRAINED, socket.MSG_DONTWAIT)
    except OSError:
        pass  # it has gone, or sends nothing
    finally:
        sock.detach()


def _reset(descriptor: int) -> None:
    sock = socket.socket(AF_INET, SOCK_STREAM, 0, fileno=descriptor)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_0)
    except OSError:
        pass  # a socket that cannot linger is closed as any other
    finally:
        sock.detach()
