"""A spawner: takes the place of a service's user once, then starts one child a connection.

Forked from the master, so it begins as root with the master's memory and nothing of its descriptors but three
sockets. ``main`` is its whole life, in the order that every process of superd keeps: forget, limits, drop,
prove, serve.
"""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import traceback
from collections.abc import Iterator, Mapping, Sequence
from typing import NoReturn

from superd.config.envfile import parse_environment_file
from superd.config.files import read_trusted
from superd.config.model import Service
from superd.errors import Exit, SuperdError
from superd.handler.loading import LoadError
from superd.kernel import linux, rlimits, sandbox
from superd.kernel.birth import Birth
from superd.kernel.namespaces import OuterPids
from superd.kernel.sandbox import Place
from superd.spawner.ending import Adoption, adopt, adoption_wants
from superd.spawner.handlers import CallerGoneError, start_caller
from superd.spawner.plan import base_environment
from superd.spawner.serve import Spawner
from superd.wire.fds import Link
from superd.wire.handlers import HandlerFailed
from superd.wire.messages import SpawnerFailed, SpawnerReady
from superd.wire.table import Phase, Role


def main(birth: Birth) -> NoReturn:
    """Live as a spawner; never returns. Run in a freshly forked child of the master."""
    parent = os.getppid()
    _forget(birth.descriptors())
    master = Link(birth.master, Role.SPAWNER, Role.MASTER)
    try:
        pids = None if birth.outer_pids is None else OuterPids(birth.outer_pids)
        environment, adoption = _take_place(birth, parent)
        caller = start_caller(birth.service, environment, names=pids is not None)
    except LoadError as error:
        master.post(HandlerFailed(error.lines))
        os._exit(1)
    except (OSError, SuperdError, ValueError) as error:
        master.post(SpawnerFailed(str(error)[:1000]))
        os._exit(1)
    gc.freeze()  # what the master made stays in the pages shared with it …
    gc.set_threshold(50_000)  # … and a connection makes no cycles
    master.post(SpawnerReady())
    master.phase = Phase.SERVING
    try:
        Spawner(
            birth.service, environment, master, birth.own, birth.work, birth.listeners, adoption, pids, caller
        ).run()
    except CallerGoneError as error:
        master.post(SpawnerFailed(str(error)))
        os._exit(1)
    except Exception as error:  # noqa: BLE001  a defect of ours: standard error leads nowhere here, the log does not
        master.post(SpawnerFailed(_defect(error)))
        os._exit(Exit.SOFTWARE)
    os._exit(0)


def _defect(error: Exception) -> str:
    """What went wrong and where, in one line."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""
    return f"defect: {type(error).__name__}: {error}{place}"[:1000]


def _forget(keep: Sequence[int]) -> None:
    """Close every descriptor of the master but ours, and leave its session: Ctrl-C is the master's business.

    The keys of whoever started superd are in the session's keyring, and are not for the programs of services.
    """
    os.setsid()
    linux.leave_session_keyring()
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for standard in (0, 1, 2):
        os.dup2(null, standard, inheritable=True)
    start = 3
    for descriptor in sorted(keep):
        if descriptor > start:
            linux.close_range(start, descriptor - 1)
        start = descriptor + 1
    linux.close_range(start, 2**31 - 1)


def _take_place(birth: Birth, parent: int) -> tuple[dict[bytes, bytes], Adoption | None]:
    """Become the service's user, for good; returns the environment of its children, and whom it adopts.

    Limits, nice and the environment file need root. From there on kernel/sandbox.py has the order of the steps.
    """
    service, identity = birth.service, birth.identity
    place = Place(service, identity, birth.sandbox, birth.lacking)
    linux.set_process_title(f"superd: spawner {service.name}")
    _limit(service, birth.soft_nofile)
    with _naming("nice", service.nice):
        os.nice(service.nice)
    os.umask(service.umask)
    from_file = _read_environment_file(service.environment_file)
    facts = place.facts
    sandbox.enclose(place)
    adoption = adopt(service, adoption_wants(service))
    sandbox.settle(place, facts, parent)
    return base_environment(service, identity, birth.caller, from_file), adoption


@contextlib.contextmanager
def _naming(key: str, value: object) -> Iterator[None]:
    """Say at which key of the service it failed: the bare error would not."""
    try:
        yield
    except OSError as error:
        raise SuperdError(f"{key} = {value}: {error.strerror}") from error


def _limit(service: Service, soft_nofile: int) -> None:
    """Set the limits that children inherit; those which would bind the spawner itself wait for the child."""
    on_spawner, on_child = rlimits.split(service.resource_limits)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft_nofile, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    rlimits.apply(on_spawner)
    rlimits.raise_hard(on_child)


def _read_environment_file(path: str) -> Mapping[str, str]:
    """The file as it is now, if it still deserves what the master believed of it."""
    if not path:
        return {}
    try:
        return parse_environment_file(read_trusted(path))
    except ValueError as error:  # of the parser, or a RejectedError
        raise SuperdError(f"environment_file {path}: {error}") from error
