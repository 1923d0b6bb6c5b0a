"""The parent of a program under superd-bind: answers its bind calls, and is not noticed otherwise.

It is in the program's session and process group, so what a terminal sends reaches both, and only what is sent to the
parent alone is passed on. It stops when the program is stopped at the terminal, and ends as the program ends. It must
outlive every descendant, since a call that nobody answers fails with ENOSYS: when the program has ended and others of
its tree have not, a copy of it stays for them.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import socket
import sys
from collections.abc import Sequence
from typing import NoReturn

from superd.kernel import notification
from superd.kernel.notification import SI_KERNEL, Machine
from superd.supervise import child
from superd.supervise.answering import Answering

_TERMINAL_STOPS = {signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}
_UNUSED = {signal.SIGKILL, signal.SIGSTOP}
_MOST_DESCRIPTORS = 1 << 20
_SCOPE = "/proc/sys/kernel/yama/ptrace_scope"


def run(argv: Sequence[str], machine: Machine, depth: int) -> NoReturn:
    """Run a program, and end as it does.

    Args:
        argv: the program and its arguments.
        depth: how many levels of programs may bind what is granted; 0 for all.
    """
    numbers = (machine.bind, *(machine.execs if depth else ()))
    program = notification.assemble(machine.arch, numbers)
    notification.set_child_subreaper()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - _UNUSED)
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if not pid:
        ours.close()
        child.execute(argv, machine, program, theirs, set(map(int, mask)))
    theirs.close()
    listener, killable = _receive_listener(ours)
    if listener < 0:
        _end_as(os.waitpid(pid, 0)[1])
    signals = _clear(listener)
    answering = Answering(machine, listener, killable, depth, pid, _Complaints())
    _Parent(pid, listener, signals, answering).watch()


class _Complaints:
    """Says each thing once, on standard error."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def __call__(self, text: str) -> None:
        if text not in self._said and len(self._said) < 16:
            self._said.add(text)
            print(f"superd-bind: {text}", file=sys.stderr, flush=True)


def _receive_listener(link: socket.socket) -> tuple[int, bool]:
    """The listener and whether it is killable; -1 when the child has said itself why there is none."""
    with link:
        data, descriptors, _, _ = socket.recv_fds(link, 1, 1)
    return (descriptors[0] if descriptors else -1), data == b"\1"


def _clear(listener: int) -> int:
    """Let go of what is the program's alone: its input and output, its folder, and what else it was given.

    Returns:
        The descriptor on which signals arrive.
    """
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
    os.closerange(3, listener)
    os.closerange(listener + 1, _MOST_DESCRIPTORS)
    os.chdir("/")
    return notification.signalfd()


class _Parent:
    def __init__(self, pid: int, listener: int, signals: int, answering: Answering) -> None:
        self._pid = pid
        self._status: int | None = None
        self._is_copy = False
        self._listener = listener
        self._signals = signals
        self._answering = answering
        self._poll = select.poll()
        self._poll.register(listener, select.POLLIN)
        self._poll.register(signals, select.POLLIN)

    def watch(self) -> NoReturn:
        """Serve until nobody is left."""
        while True:
            events = dict(self._poll.poll())
            if self._signals in events:
                self._take_signals()
            told = events.get(self._listener, 0)
            if told & select.POLLIN:
                self._answering.answer_next()
            elif told:
                self._end()
            if self._status is not None and not self._is_copy and not _is_watched():
                self._leave_a_copy(self._status)

    def _take_signals(self) -> None:
        for number, code in notification.read_signals(self._signals):
            if number == signal.SIGCHLD:
                self._reap()
            elif code != SI_KERNEL and self._status is None and not self._is_copy:
                os.kill(self._pid, number)  # not reaped yet, so it is still its own number

    def _reap(self) -> None:
        """Collect the dead; stop with the program, and go on with it."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid != self._pid or self._is_copy:
                continue
            if not os.WIFSTOPPED(status):
                self._status = status
            elif os.WSTOPSIG(status) in _TERMINAL_STOPS:
                os.kill(os.getpid(), signal.SIGSTOP)
                os.kill(self._pid, signal.SIGCONT)  # whoever woke this process alone meant it

    def _end(self) -> NoReturn:
        """The last process under the filter is gone, and so the program is, or all but."""
        if self._is_copy:
            os._exit(0)
        while self._status is None:
            select.select([self._signals], [], [])
            self._take_signals()
        _end_as(self._status)

    def _leave_a_copy(self, status: int) -> None:
        """The program has ended: so does this process, and a copy of it goes on for those that are left."""
        self._answering.finish()
        told = dict(self._poll.poll(0)).get(self._listener, 0)
        if (told and not told & select.POLLIN) or os.fork():
            _end_as(status)
        self._is_copy = True
        os.setsid()
        os.dup2(0, 2)


def _is_watched() -> bool:
    """Whether only an ancestor may look into a process (Yama): a copy of this one would be none."""
    try:
        with open(_SCOPE, encoding="ascii") as file:
            return int(file.read()) > 0
    except OSError:
        return False


def _end_as(status: int) -> NoReturn:
    """End with the program's exit code, or by the signal that ended it, without a core of our own."""
    if not os.WIFSIGNALED(status):
        os._exit(os.waitstatus_to_exitcode(status))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    number = os.WTERMSIG(status)
    if number not in _UNUSED:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    os.kill(os.getpid(), number)
    os._exit(128 + number)
