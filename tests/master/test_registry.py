"""Services come, change and go, and the sockets of those that stay are never closed."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

from helpers.services import service

from superd.config.model import Mode, Service, SocketOptions
from superd.master.policies import policy_of
from superd.master.registry import Prepared
from superd.wire.messages import (
    ListenerDown,
    ListenerUp,
    ServiceDown,
    ServiceFaulty,
    ServiceUp,
)
from superd.wire.policies import ServicePolicy

from .conftest import World

FreePort = Callable[[], int]


def inode(sock: socket.socket) -> int:
    return os.fstat(sock.fileno()).st_ino


def ftp(port: int, **settings: object) -> Service:
    return service("ftp", f"tcp://127.0.0.1:{port}", **settings)


def only(prepared: list[Prepared]) -> Prepared:
    (one,) = prepared
    return one


# --- coming up ---


def test_a_service_listens_and_the_acceptor_is_told(world: World, free_port: FreePort) -> None:
    port = free_port()
    (managed,) = world.add(ftp(port))
    world.registry.announce(managed)
    assert managed.work_in is not None
    (up, work), (policy, _), (listener, sock) = world.told.messages
    assert policy == policy_of(managed.id, managed.service)
    assert up == ServiceUp(managed.id, managed.settings())
    assert work == [inode(managed.work_in)]
    assert listener == ListenerUp(managed.id, 0, f"tcp://127.0.0.1:{port}", False)
    assert sock == [inode(world.listener("ftp"))]
    socket.create_connection(("127.0.0.1", port)).close()


def test_a_new_acceptor_gets_the_work_link_again_and_an_old_one_does_not(
    world: World, free_port: FreePort
) -> None:
    (managed,) = world.add(ftp(free_port()))
    world.registry.announce(managed)
    world.registry.announce(managed)
    world.registry.introduce_all()
    links = [len(sent) for message, sent in world.told.messages if isinstance(message, ServiceUp)]
    assert links == [1, 0, 1]


def test_a_port_in_use_is_said_with_its_owner_and_opened_when_it_is_free(
    world: World, free_port: FreePort
) -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        (managed,) = world.add(ftp(port))
        world.registry.announce(managed)
        *_, down = world.told.take()
        assert isinstance(down, ListenerDown)
        assert down.reason.startswith("Address already in use: ")
        assert f"{os.getpid()}" in down.reason
        assert "cannot listen: Address already in use" in world.log()
        assert "tried again in 1 s and on" in world.log()
    run_until_told(world, ListenerUp)
    assert "a listener is open now" in world.log()
    socket.create_connection(("127.0.0.1", port)).close()


def run_until_told(world: World, kind: type) -> None:
    """Let the loop turn until the acceptor is told such a message."""
    tell = world.registry._tell

    def told(message: object, descriptors: list[int] | None = None) -> None:
        tell(message, descriptors)
        if isinstance(message, kind):
            world.loop.stop()

    world.registry._tell = told
    world.loop.run()


def test_a_faulty_service_is_off_and_the_others_are_not(world: World, free_port: FreePort) -> None:
    bad = service("bad", f"tcp://127.0.0.1:{free_port()}", user="nobody-of-that-name")
    faulty, good = world.add(bad, ftp(free_port()))
    world.registry.announce(faulty)
    (message,) = world.told.take()
    assert isinstance(message, ServiceFaulty)
    assert 'no user "nobody-of-that-name"' in message.reason
    assert faulty.listeners == []
    assert good.fault == ""


def test_a_disabled_service_opens_nothing(world: World, free_port: FreePort) -> None:
    (managed,) = world.add(ftp(free_port(), enabled=False))
    world.registry.announce(managed)
    assert world.told.take() == [ServiceFaulty(managed.id, managed.settings(), "disabled")]
    assert managed.listeners == []


def test_an_instance_waits_until_all_of_its_listeners_are_open(world: World, free_port: FreePort) -> None:
    """It is given them all at its start; a program for one connection needs but one."""
    free, taken = free_port(), free_port()
    texts = (f"tcp://127.0.0.1:{free}", f"tcp://127.0.0.1:{taken}")
    with socket.create_server(("127.0.0.1", taken)):
        wait = world.add(service("wait", *texts, mode=Mode.WAIT))[0]
        world.registry.announce(wait)
        kinds = [type(message) for message in world.told.take()]
    assert kinds == [ServiceUp, ServicePolicy, ListenerDown]
    world.registry.remove(wait)
    world.told.take()
    with socket.create_server(("127.0.0.1", taken)):
        nowait = world.add(service("nowait", *texts))[0]
        world.registry.announce(nowait)
        kinds = [type(message) for message in world.told.take()]
    assert kinds == [ServiceUp, ServicePolicy, ListenerUp, ListenerDown]


# --- reload ---


def apply(world: World, *services: Service) -> None:
    """Reload with these services, the way the master does."""
    old = world.registry.by_name()
    prepared = world.prepare(*services)
    assert [fault for one in prepared for fault in one.faults] == []
    names = {one.name for one in services}
    changed = [one.service.name for one in prepared if one.service.name in old]
    world.registry.swap(prepared, [name for name in old if name not in names], changed, old)


def test_a_changed_service_keeps_its_socket(world: World, free_port: FreePort) -> None:
    """A connection that waits in its queue is served by the new program."""
    port = free_port()
    world.add(ftp(port))
    before = inode(world.listener("ftp"))
    with socket.create_connection(("127.0.0.1", port)):
        apply(world, ftp(port, nice=5))
        assert inode(world.listener("ftp")) == before
        world.listener("ftp").accept()[0].close()


def test_a_renamed_service_keeps_its_socket(world: World, free_port: FreePort) -> None:
    port = free_port()
    world.add(ftp(port))
    before = inode(world.listener("ftp"))
    with socket.create_connection(("127.0.0.1", port)):
        apply(world, service("files", f"tcp://127.0.0.1:{port}"))
        assert list(world.registry.by_name()) == ["files"]
        assert inode(world.listener("files")) == before
        world.listener("files").accept()[0].close()


def test_two_services_may_swap_their_ports(world: World, free_port: FreePort) -> None:
    one, other = free_port(), free_port()
    texts = f"tcp://127.0.0.1:{one}", f"tcp://127.0.0.1:{other}"
    world.add(service("a", texts[0]), service("b", texts[1]))
    before = inode(world.listener("a")), inode(world.listener("b"))
    apply(world, service("a", texts[1]), service("b", texts[0]))
    assert (inode(world.listener("b")), inode(world.listener("a"))) == before


def test_a_socket_that_must_be_bound_anew_is_opened_once_the_old_one_is_closed(
    world: World, free_port: FreePort
) -> None:
    port = free_port()
    world.add(ftp(port))
    before = inode(world.listener("ftp"))
    changed = ftp(port, socket=SocketOptions(free_bind=True))
    assert only(world.prepare(changed)).deferred == [0]
    apply(world, changed)
    assert inode(world.listener("ftp")) != before
    socket.create_connection(("127.0.0.1", port)).close()


def test_what_is_new_is_bound_before_anything_changes(world: World, free_port: FreePort) -> None:
    old, new = free_port(), free_port()
    world.add(ftp(old))
    prepared = only(world.prepare(ftp(new)))
    assert (prepared.reused, prepared.deferred, prepared.faults) == ({}, [], [])
    for port in (old, new):
        socket.create_connection(("127.0.0.1", port)).close()
    world.registry.give_up(prepared)
    assert world.told.take() == []
    with socket.create_server(("127.0.0.1", new)):
        socket.create_connection(("127.0.0.1", old)).close()


def test_a_port_that_another_program_has_is_a_fault_of_the_new_configuration(
    world: World, free_port: FreePort
) -> None:
    taken = free_port()
    world.add(ftp(free_port()))
    with socket.create_server(("127.0.0.1", taken)):
        (fault,) = only(world.prepare(ftp(taken))).faults
    owner = f"pid {os.getpid()}"
    assert str(fault).startswith(
        f'superd.toml: services.ftp.listen = "tcp://127.0.0.1:{taken}": cannot listen: Address already in use'
    )
    assert owner in str(fault)
    assert str(fault).endswith("; free it, or name another")


def test_an_address_that_no_interface_has_yet_is_no_fault(world: World, free_port: FreePort) -> None:
    text = f"tcp://192.0.2.1:{free_port()}"
    (prepared,) = world.prepare(service("later", text))
    assert prepared.faults == []
    world.registry.swap([prepared], [], [], {})
    assert [type(message) for message in world.told.take()] == [ServiceUp, ServicePolicy, ListenerDown]


def test_a_missing_user_is_a_fault_and_nothing_is_opened(world: World, free_port: FreePort) -> None:
    port = free_port()
    prepared = only(world.prepare(ftp(port, user="nobody-of-that-name")))
    assert len(prepared.faults) == 1
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_a_service_that_is_switched_off_lets_go_of_its_port(world: World, free_port: FreePort) -> None:
    port = free_port()
    (managed,) = world.add(ftp(port))
    world.told.take()
    apply(world, ftp(port, enabled=False))
    assert world.told.take() == [ServiceFaulty(managed.id, managed.settings(), "disabled")]
    with socket.create_server(("127.0.0.1", port)):
        pass
    apply(world, ftp(port))
    socket.create_connection(("127.0.0.1", port)).close()


def test_a_removed_service_is_gone_and_its_number_is_not_used_again(
    world: World, free_port: FreePort
) -> None:
    port = free_port()
    (managed,) = world.add(ftp(port))
    world.registry.remove(managed)
    assert world.told.take() == [ServiceDown(managed.id)]
    assert world.registry.services == {}
    assert world.add(ftp(port))[0].id != managed.id


def test_a_unix_sockets_file_goes_with_its_service_and_stays_with_a_renamed_one(
    world: World, tmp_path: Path
) -> None:
    text = f"unix://{tmp_path}/s.sock"
    world.add(service("old", text))
    apply(world, service("new", text))
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(f"{tmp_path}/s.sock")
    apply(world)
    assert not (tmp_path / "s.sock").exists()
