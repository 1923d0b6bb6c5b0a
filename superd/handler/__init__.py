"""Python functions that serve connections: what a handler is given, superd-handler(7).

A handler is named by ``handler = "package.module:function"`` or ``"/path/file.py:function"``. It is imported once,
as the service's user, and then called in a process of its own for each connection::

    from superd.handler import Connection

    def echo(connection: Connection) -> None:
        for line in connection.reader:
            connection.writer.write(line)

``python -m superd.handler FILE:FUNCTION`` serves one in the foreground, and ``superd.testing`` calls one in a test.
"""

from superd.handler.connection import Address, Connection

__all__ = ["Address", "Connection"]
