"""What the kernel says of processes and sockets: memory, time on a processor, who listens."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from pathlib import Path

import psutil

_LISTEN = "0A"  # TCP_LISTEN of include/net/tcp_states.h, as /proc/net/tcp has it


def family(pid: int) -> list[psutil.Process]:
    """A process and all that descend from it."""
    top = psutil.Process(pid)
    return [top, *top.children(recursive=True)]


def pss_kib(pids: Iterable[int]) -> float:
    """Memory of these processes, shared pages counted by their share (proc_pid_smaps_rollup(5), Pss)."""
    return float(sum(map(_pss_kib, pids)))


def _pss_kib(pid: int) -> int:
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as rollup:
        return next(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))


def cpu_s(pid: int) -> float:
    """Seconds that all threads of a process had on a processor (proc_pid_schedstat(5)); 0 once it has ended."""
    tasks = Path(f"/proc/{pid}/task")
    try:
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir()) / 1e9
    except (FileNotFoundError, ProcessLookupError):
        return 0.0


def is_listening(ports: Collection[int], transport: str = "tcp") -> bool:
    """Whether somebody listens at each of these ports of IPv4. Asking the kernel disturbs nobody; a knock would."""
    with open(f"/proc/net/{transport}", encoding="ascii") as table:
        rows = [line.split() for line in table][1:]
    bound = {int(row[1].rpartition(":")[2], 16) for row in rows if transport == "udp" or row[3] == _LISTEN}
    return bound.issuperset(ports)


def processes() -> frozenset[int]:
    """The pids of all processes of the machine."""
    return frozenset(map(int, filter(str.isdigit, os.listdir("/proc"))))


def comm(pid: int) -> str:
    """The name of a process's program (proc_pid_comm(5)); empty once it has ended."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def name_of(process: psutil.Process) -> str:
    """A process by the title that it gave itself, or else by its program; empty once it has ended."""
    try:
        title = " ".join(process.cmdline())
        return title if title.startswith("superd:") else process.name()
    except psutil.Error:
        return ""
