"""What the master may do: what its configuration needs, and not a capability more."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from superd.config.capabilities import Capability
from superd.config.model import (
    Builtin,
    Config,
    Listen,
    Mode,
    ResourceLimit,
    Scheme,
    Service,
    SocketOptions,
    SuperdSettings,
)
from superd.config.sandbox import Profile, ProtectHome, Sandbox
from superd.kernel.linux import LAST_CAP
from superd.master.needs import ALWAYS, Need, needs

BASE = {need.capability for need in ALWAYS}
TCP = Listen("tcp://*:80", Scheme.TCP, "*", 80)
UDP = Listen("udp://*:69", Scheme.UDP, "*", 69)
UNIX = Listen("unix:///run/x/y", Scheme.UNIX, path="/run/x/y")
ABSTRACT = Listen("unix://@x", Scheme.UNIX, path="@x")
DATAGRAM = Listen("unix-dgram:///run/x/y", Scheme.UNIX_DGRAM, path="/run/x/y")
PLAIN = Service("x", (TCP,), exec=("/bin/cat",), user="daemon")


SETTINGS = SuperdSettings()


def asked(service: Service, settings: SuperdSettings = SETTINGS, *, root: bool = False) -> set[str]:
    found = (need.capability for need in needed(service, settings, root=root))
    return {capability.name for capability in found if capability is not None}


def needed(service: Service, settings: SuperdSettings = SETTINGS, *, root: bool = False) -> list[Need]:
    """What a configuration of one service needs beyond what always is."""
    config = Config(settings, {service.name: service}, files=("/etc/superd.toml",))
    found = needs(config, {service.name} if root else ())
    return [need for need in found if need.capability not in BASE]


def grants_by_exec(service: Service, *, root: bool = False) -> bool:
    return any(need.capability is None for need in needed(service, root=root))


def test_an_ordinary_service_needs_nothing_beyond_what_superd_is_for() -> None:
    assert asked(PLAIN) == set()
    names = {need.capability.name for need in ALWAYS if need.capability is not None}
    assert names == {
        "CAP_SETUID",
        "CAP_SETGID",
        "CAP_SETPCAP",
        "CAP_KILL",
        "CAP_NET_BIND_SERVICE",
        "CAP_DAC_READ_SEARCH",
    }


@pytest.mark.parametrize(
    ("change", "capabilities"),
    [
        ({"listen": (UDP,)}, {"CAP_NET_RAW"}),
        ({"listen": (UDP,), "mode": Mode.WAIT}, set()),
        ({"listen": (ABSTRACT,)}, set()),
        ({"listen": (UNIX,)}, {"CAP_DAC_OVERRIDE", "CAP_FOWNER"}),
        ({"listen": (DATAGRAM,)}, {"CAP_DAC_OVERRIDE", "CAP_FOWNER"}),
        ({"socket": SocketOptions(socket_user="daemon")}, {"CAP_CHOWN"}),
        ({"socket": SocketOptions(socket_group="adm")}, {"CAP_CHOWN"}),
        ({"socket": SocketOptions(mark=0)}, {"CAP_NET_ADMIN"}),
        ({"socket": SocketOptions(tcp_congestion="bbr")}, {"CAP_NET_ADMIN"}),
        ({"socket": SocketOptions(receive_buffer_bytes=1)}, {"CAP_NET_ADMIN"}),
        ({"socket": SocketOptions(send_buffer_bytes=1)}, {"CAP_NET_ADMIN"}),
        ({"socket": SocketOptions(bind_to_device="lo")}, {"CAP_NET_RAW"}),
        ({"root_directory": "/srv"}, {"CAP_SYS_CHROOT"}),
        ({"nice": 5}, set()),
        ({"nice": -5}, {"CAP_SYS_NICE"}),
        ({"resource_limits": {"nofile": ResourceLimit(10, 10)}}, {"CAP_SYS_RESOURCE"}),
    ],
)
def test_each_setting_brings_what_it_takes(change: dict[str, Any], capabilities: set[str]) -> None:
    service = evolve(PLAIN, **change)
    assert asked(service) == capabilities
    assert asked(evolve(service, enabled=False)) == set()


def test_a_service_of_root_needs_all_there_is() -> None:
    assert asked(PLAIN, root=True) == {capability.name for capability in set(Capability) - BASE}
    assert asked(evolve(PLAIN, enabled=False), root=True) == set()
    assert grants_by_exec(PLAIN, root=True) and not grants_by_exec(PLAIN)
    assert {need.key for need in needed(PLAIN, root=True)} == {"user"}


def test_a_service_of_root_that_is_held_to_less_needs_less() -> None:
    sandbox = Sandbox(capability_bounding_set=("CAP_SETUID", "CAP_SYS_TIME"), no_new_privileges=True)
    service = evolve(PLAIN, sandbox=sandbox)
    assert asked(service, root=True) == {"CAP_SYS_TIME"}
    assert not grants_by_exec(service, root=True)


@pytest.mark.parametrize(
    ("sandbox", "capabilities", "key"),
    [
        (Sandbox(ambient_capabilities=("CAP_NET_RAW",)), {"CAP_NET_RAW"}, "sandbox.profile"),
        (Sandbox(private_tmp=True), {"CAP_SYS_ADMIN"}, "sandbox.private_tmp"),
        (Sandbox(protect_home=ProtectHome.TMPFS), {"CAP_SYS_ADMIN"}, "sandbox.protect_home"),
        (Sandbox(protect_home=ProtectHome.NO), set(), ""),
        (Sandbox(read_only_paths=("/srv",)), {"CAP_SYS_ADMIN"}, "sandbox.read_only_paths"),
        (Sandbox(private_network=True), {"CAP_SYS_ADMIN", "CAP_NET_ADMIN"}, "sandbox.private_network"),
        (Sandbox(no_new_privileges=False), {"CAP_SYS_ADMIN"}, "sandbox.no_new_privileges"),
    ],
)
def test_a_sandbox_takes_what_it_is_built_with(sandbox: Sandbox, capabilities: set[str], key: str) -> None:
    service = evolve(PLAIN, sandbox=sandbox)
    assert asked(service) == capabilities
    assert {need.key for need in needed(service)} == ({key} if key else set())
    assert asked(evolve(service, exec=(), builtin=Builtin.ECHO)) == set(), "nothing is started for it"


def test_without_a_profile_there_is_nothing_to_hold_programs_back() -> None:
    service = evolve(PLAIN, sandbox=Sandbox(profile=Profile.NONE))
    assert asked(service) == {capability.name for capability in set(Capability) - BASE}
    assert grants_by_exec(service)


def test_the_strict_profile_is_built_by_few_and_leaves_none() -> None:
    service = evolve(PLAIN, sandbox=Sandbox(profile=Profile.STRICT))
    assert asked(service) == {"CAP_SYS_ADMIN", "CAP_NET_ADMIN", "CAP_SETFCAP"}
    assert not grants_by_exec(service)


def test_the_kernel_knows_no_capability_that_has_no_name_here() -> None:
    assert max(Capability) >= LAST_CAP


def test_the_settings_of_superd_itself_take_something_too() -> None:
    assert asked(PLAIN, SuperdSettings(log="/var/log/superd.log")) == {"CAP_DAC_OVERRIDE"}
    assert asked(PLAIN, SuperdSettings(log="stderr")) == set()
    assert asked(PLAIN, SuperdSettings(control_group="adm")) == {"CAP_CHOWN"}
    assert asked(PLAIN, SuperdSettings(control_admin_group="adm")) == {"CAP_CHOWN"}


def test_every_need_says_why() -> None:
    config = Config(SuperdSettings(control_group="adm"), {"x": evolve(PLAIN, nice=-1)})
    for need in needs(config, {"x"}):
        assert need.why
        assert (need.service is None) == (need in ALWAYS or need.key.startswith("control"))
