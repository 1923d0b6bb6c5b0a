"""Where things are when nobody says otherwise; superd and superctl must agree."""

from __future__ import annotations

import os
from collections.abc import Mapping

CONFIG_FILE = "/etc/superd.toml"
HOSTS_ALLOW, HOSTS_DENY = "/etc/hosts.allow", "/etc/hosts.deny"
CONTROL_SOCKET = "/run/superd/control.sock"

MAX_REQUEST_BYTES = 64 * 1024
"""The longest line that the control socket takes."""


def override_file(config_file: str) -> str:
    """The file of overrides that belongs to a main file, and is read whenever it exists.

    It stands in the same folder: ``/etc/superd.override.toml`` for ``/etc/superd.toml``.
    """
    return f"{config_file.removesuffix('.toml')}.override.toml"


def control_socket(configured: str, uid: int, environ: Mapping[str, str]) -> str:
    """The control socket's path: as configured, but an ordinary user's default lies in his runtime folder.

    That is XDG_RUNTIME_DIR, else /run/user/UID, else a folder of his own below /tmp (made with mode 0700).
    """
    if uid == 0 or configured != CONTROL_SOCKET:
        return configured
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    if not os.path.isabs(runtime):
        runtime = f"/run/user/{uid}"
    if os.path.isdir(runtime):
        return f"{runtime}/superd/control.sock"
    return f"/tmp/superd-{uid}/control.sock"  # noqa: S108  the folder is his, or binding is refused
