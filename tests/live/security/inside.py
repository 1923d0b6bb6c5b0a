"""A look from inside of a sandbox: a program whose whole text is an argument, since it may see no file of the test."""

from __future__ import annotations

import json
import sys
import textwrap
from typing import Any

from harness import exchange

from .hostile import ATTEMPT

Answers = dict[str, Any]


def look(name: str, address: str, sandbox: str, body: str, *, user: str = "daemon", port: int = 1) -> str:
    """A service that answers each connection with what ``attempts``, a table that ``body`` makes, come to.

    Args:
        sandbox: the lines of its [sandbox].
    """
    text = f"{ATTEMPT}\n{textwrap.dedent(body)}\nprint(json.dumps(tried(attempts)))"
    return f"""
        [services.{name}]
        listen = ["tcp://{address}:{port}"]
        exec = {json.dumps([sys.executable, "-I", "-S", "-c", f"exec({text!r})"])}
        user = "{user}"
        [services.{name}.sandbox]
        {sandbox}
    """


def seen(address: str, port: int = 1) -> Answers:
    """What it saw."""
    return dict(json.loads(exchange(address, port, b"")))
