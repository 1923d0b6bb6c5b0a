"""finger (RFC 1288): who is that user, and what is his plan?

[services.finger]
listen = ["tcp://*:79"]
handler = "/etc/superd/handlers/finger.py:finger"
user = "nobody"
"""

import pwd
from pathlib import Path

from superd.handler import Connection

FIRST_UID = 1000
"""Accounts below are the system's, and nobody's business."""

MOST_BYTES = 512
"""Of a question, and more than any name has."""


def finger(connection: Connection) -> None:
    question = connection.reader.readline(MOST_BYTES)
    name = question.decode("ascii", "replace").removeprefix("/W").strip()
    connection.writer.write(answer(name).replace("\n", "\r\n").encode())


def answer(name: str) -> str:
    """What is told of a user. To list all, or to ask other hosts, is declined (RFC 1288, 3.2)."""
    if not name:
        return "Whom do you want to know about?\n"
    if "@" in name:
        return "Ask that host yourself.\n"
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        user = None
    if user is None or user.pw_uid < FIRST_UID:
        return f"{printable(name)}: no such user.\n"
    real_name = user.pw_gecos.partition(",")[0]
    return f"Login: {user.pw_name}\nName: {printable(real_name)}\n{plan(Path(user.pw_dir) / '.plan')}"


def plan(path: Path) -> str:
    """A user's plan, if he lets others read it."""
    try:
        if path.is_file():  # a pipe would keep us waiting
            with path.open(errors="replace") as file:
                return f"Plan:\n{printable(file.read(4096))}\n"
    except OSError:
        pass  # his folder is private
    return "No plan.\n"


def printable(text: str) -> str:
    """The text without what would steer a terminal (RFC 1288, 3.2.1)."""
    return "".join(char if char.isprintable() or char == "\n" else "?" for char in text)
