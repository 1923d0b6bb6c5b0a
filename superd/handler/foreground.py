"""``python -m superd.handler``: one handler in the foreground, for developing it.

Each connection imports the handler anew, in a process of its own: what was just edited is what serves.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
from typing import NoReturn

from superd.config.addresses import parse_listen
from superd.config.findings import RejectedError
from superd.config.kinds import HANDLER
from superd.config.model import Handler, Listen, Scheme
from superd.errors import Exit
from superd.handler.connection import Address, Connection
from superd.handler.loading import LoadError, load
from superd.handler.places import search_path
from superd.handler.running import run
from superd.handler.streams import renew
from superd.wire.messages import Peer
from superd.wire.peers import peer_environment

ANY_PORT = "tcp://127.0.0.1:0"
_SCHEMES = (Scheme.TCP, Scheme.TCP4, Scheme.TCP6, Scheme.UNIX)


def main() -> int:
    """Serve until Ctrl-C; returns the exit code."""
    arguments = _arguments()
    try:
        handler = _handler(arguments.handler)
        listener = _listener(arguments.listen)
    except RejectedError as error:
        return _refuse(f"{error.findings[0].problem}; {error.findings[0].remedy}")
    except OSError as error:
        return _refuse(f"{arguments.listen}: {error.strerror}")
    with listener:
        if _tried(handler):
            return Exit.CONFIG
        sys.stderr.write(f"{handler.text} listens on {_shown(listener)}; Ctrl-C ends it\n")
        try:
            while True:
                _serve_one(handler, listener)
        except KeyboardInterrupt:
            return Exit.OK


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m superd.handler", description="Serve connections by a handler, in the foreground."
    )
    parser.add_argument("handler", metavar="HANDLER", help="module:function or file.py:function")
    parser.add_argument(
        "--listen", default=ANY_PORT, help="tcp://HOST:PORT or unix:///PATH (a free port of 127.0.0.1)"
    )
    return parser.parse_args()


def _refuse(text: str) -> int:
    sys.stderr.write(f"superd.handler: {text}\n")
    return Exit.USAGE


def _handler(text: str) -> Handler:
    """A handler as the configuration names it; the path of its file may be relative."""
    source, colon, function = text.rpartition(":")
    if source.endswith(".py"):
        source = os.path.abspath(source)
    found = HANDLER.parse(f"{source}{colon}{function}")
    assert isinstance(found, Handler)  # noqa: S101  tells mypy what the kind makes
    return found


def _listener(text: str) -> socket.socket:
    """Open a listening socket.

    Raises:
        RejectedError: it is no address of a stream.
        OSError: it cannot be opened.
    """
    if text == ANY_PORT:
        return socket.create_server(("127.0.0.1", 0))
    listen = parse_listen(text, lambda *_: None)
    if listen.scheme not in _SCHEMES:
        raise _unsuitable(listen)
    if listen.scheme is Scheme.UNIX:
        return _unix_listener(listen.path)
    host = {"*": "", "localhost": "127.0.0.1"}.get(listen.host, listen.host)
    is_six = ":" in host or (not host and listen.scheme is Scheme.TCP6)
    return socket.create_server((host, listen.port), family=socket.AF_INET6 if is_six else socket.AF_INET)


def _unsuitable(listen: Listen) -> RejectedError:
    from superd.config.findings import reject

    return reject(f"{listen.text} carries no streams", 'write "tcp://127.0.0.1:8000"')


def _unix_listener(path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.bind(path.replace("@", "\0", 1) if path.startswith("@") else path)
        sock.listen()
    except OSError:
        sock.close()
        raise
    return sock


def _shown(listener: socket.socket) -> str:
    name = listener.getsockname()
    return str(Address(*name[:2])) if isinstance(name, tuple) else os.fsdecode(name).replace("\0", "@")


def _tried(handler: Handler) -> bool:
    """Import the handler once in a process of its own, so that what is wrong shows at once; True: something is."""
    pid = os.fork()
    if pid == 0:
        os._exit(0 if _loaded(handler) else 1)
    return os.waitpid(pid, 0)[1] != 0


def _loaded(handler: Handler) -> object:
    folders = [os.getcwd(), *search_path(os.environ.get("PYTHONPATH", ""))]
    try:
        return load(handler.source, handler.function, folders)
    except LoadError as error:
        sys.stderr.write("\n".join([*error.lines, ""]))
        sys.stderr.flush()
        return None


def _serve_one(handler: Handler, listener: socket.socket) -> None:
    """Accept a connection and leave it to a process of its own; collect those that have ended."""
    client, _ = listener.accept()
    with client:
        if os.fork() == 0:
            _live(handler, listener, client)
    while _collect():
        pass


def _collect() -> bool:
    try:
        return os.waitpid(-1, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return False


def _live(handler: Handler, listener: socket.socket, client: socket.socket) -> NoReturn:
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        listener.close()
        peer = _peer(client)
        os.environb.update({**peer_environment(peer), b"SUPERD_SERVICE": b"foreground"})
        os.dup2(client.fileno(), 0)
        os.dup2(client.fileno(), 1)
        renew()
        connection = Connection(client, *_ends(client, peer), "foreground", _complain)
        serve = _loaded(handler)
        if callable(serve):
            status = run(serve, connection, _complain)
    finally:
        os._exit(status)


def _complain(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _peer(client: socket.socket) -> Peer:
    if client.family == socket.AF_UNIX:
        size = 3 * 4
        raw = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
        pid, uid, gid = memoryview(raw).cast("i").tolist()
        return Peer(socket.AF_UNIX, pid=pid, uid=uid, gid=gid)
    (host, port), (local, local_port) = client.getpeername()[:2], client.getsockname()[:2]
    family = client.family
    return Peer(family, socket.inet_pton(family, host), port, socket.inet_pton(family, local), local_port)


def _ends(client: socket.socket, peer: Peer) -> tuple[Address, Address]:
    if peer.family == socket.AF_UNIX:
        return Address("", 0, peer.pid, peer.uid, peer.gid), Address("", 0)
    return Address(*client.getpeername()[:2]), Address(*client.getsockname()[:2])
