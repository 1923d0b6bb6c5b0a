"""What runs as root maps the interpreter, what that needs, the system's libseccomp, and nobody else's code."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from clients import connect, echoes
from harness import Superd

pytestmark = pytest.mark.live

SYSTEMS = re.compile(r"/libseccomp\.so\.2")
"""What a spawner's filters need of the system."""

ASK = """
import contextlib, grp, importlib, pwd
for ask in (pwd.getpwnam, grp.getgrnam):  # whatever the user database needs (nsswitch.conf(5))
    with contextlib.suppress(KeyError):
        ask("superd-has-no-such-user")
"""


def mapped(pid: int | str) -> set[str]:
    """Every file that a process has mapped as a program or a library."""
    lines = (line.split(maxsplit=5) for line in Path(f"/proc/{pid}/maps").read_text().splitlines())
    return {line[5] for line in lines if len(line) == 6 and "x" in line[1] and line[5].startswith("/")}


def maps_of_an_interpreter(modules: set[str]) -> set[str]:
    """What the interpreter maps that has imported these modules, asked for a user, and done nothing else."""
    program = (
        f"{ASK}[importlib.import_module(name) for name in {sorted(modules)}]\n"
        "print(open('/proc/self/maps').read())"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True
    )
    return {word for word in done.stdout.split() if word.startswith("/")}


def test_root_processes_map_nothing_that_the_interpreter_does_not(address: str) -> None:
    """The master, and a spawner that is root's; all that others are forked from or run as."""
    services = f"""
        [services.root]
        listen = ["tcp://{address}:7"]
        exec = ["/bin/cat"]
        user = "root"

        [services.echo]
        listen = ["tcp://{address}:9"]
        exec = ["/bin/cat"]
        user = "daemon"
    """
    environ = {**os.environ, "PYTHONPROFILEIMPORTTIME": "1"}
    with Superd(services, environ=environ) as superd, connect(address) as one, connect(address, 9) as two:
        assert echoes(one) and echoes(two)
        names = set(re.findall(r"^import time:.*\| *([^ \n]+)$", superd.stderr.read_text(), re.MULTILINE))
        pids = [superd.master_pid, *superd.spawners("root"), *superd.spawners("echo")]
        maps = {pid: mapped(pid) for pid in pids}
    standard = {name for name in names if name.partition(".")[0] in sys.stdlib_module_names}
    own = maps_of_an_interpreter(standard - {"org.python", "site", "sitecustomize", "usercustomize"})
    for pid, files in maps.items():
        strangers = {file for file in files - own if not SYSTEMS.search(file)}
        assert strangers == set(), pid
    assert not any("-packages/" in file for files in maps.values() for file in files)
