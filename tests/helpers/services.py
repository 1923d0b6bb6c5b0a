"""Services as the configuration gives them, for tests that do not care how it was written."""

from __future__ import annotations

import os
from typing import Any

from superd.config.model import Listen, Scheme, Service


def listen(text: str) -> Listen:
    """Parse just enough of a ``listen`` value for these tests."""
    scheme, _, rest = text.partition("://")
    if scheme.startswith("unix"):
        return Listen(text, Scheme(scheme), path=rest)
    host, _, port = rest.rpartition(":")
    return Listen(text, Scheme(scheme), host=host.strip("[]"), port=int(port))


def service(name: str = "ftp", *texts: str, **settings: Any) -> Service:
    """A service called ``name`` on the ``listen`` values ``texts``, run by whoever runs the tests."""
    settings.setdefault("exec", ("/bin/true",))
    settings.setdefault("user", str(os.getuid()))
    settings.setdefault("source_file", "superd.toml")
    return Service(name=name, listen=tuple(map(listen, texts)), **settings)
