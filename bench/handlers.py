"""The same Python program as a handler of superd's, and executed by xinetd: what an interpreter's start costs."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from peers import Launch, Peer, Site, superd, xinetd

SOURCE = Path(__file__).resolve().parent / "echo_once.py"


def program(site: Site) -> str:
    """The Python program, where user nobody can read it."""
    path = site.directory / "echo_once.py"
    shutil.copyfile(SOURCE, path)
    return str(path)


def superd_handler(site: Site) -> Launch:
    return superd(site, serves=f'handler = "{program(site)}:main"')


def xinetd_python(site: Site, *options: str) -> Launch:
    return xinetd(site, program=(sys.executable, *options, program(site)))


HANDLERS = (
    Peer("superd-handler", "superd, handler, text log", superd_handler),
    Peer("superd-exec", "superd, the static C program", superd),
    Peer("xinetd-static", "xinetd, the static C program", xinetd, "xinetd"),
    Peer("xinetd-python", "xinetd, python3", xinetd_python, "xinetd"),
    Peer("xinetd-python-IS", "xinetd, python3 -I -S", lambda site: xinetd_python(site, "-I", "-S"), "xinetd"),
)
