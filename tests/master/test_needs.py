"""What the master may do: what its configuration needs, and not a capability more."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from superd.config.capabilities import Capability
from superd.config.model import (
    Config,
    Listen,
    Mode,
    ResourceLimit,
    Scheme,
    Service,
    SocketOptions,
    SuperdSettings,
)
from superd.kernel.linux import LAST_CAP
from superd.master.needs import ALWAYS, needs

BASE = {need.capability for need in ALWAYS}
TCP = Listen("tcp://*:80", Scheme.TCP, "*", 80)
UDP = Listen("udp://*:69", Scheme.UDP, "*", 69)
UNIX = Listen("unix:///run/x/y", Scheme.UNIX, path="/run/x/y")
ABSTRACT = Listen("unix://@x", Scheme.UNIX, path="@x")
DATAGRAM = Listen("unix-dgram:///run/x/y", Scheme.UNIX_DGRAM, path="/run/x/y")
PLAIN = Service("x", (TCP,), exec=("/bin/cat",), user="daemon")


def asked(service: Service, settings: SuperdSettings = SuperdSettings(), *, root: bool = False) -> set[str]:  # noqa: B008
    config = Config(settings, {service.name: service}, files=("/etc/superd.toml",))
    found = {need.capability for need in needs(config, {service.name} if root else ())}
    return {capability.name for capability in found - BASE}


def test_an_ordinary_service_needs_nothing_beyond_what_superd_is_for() -> None:
    assert asked(PLAIN) == set()
    names = {capability.name for capability in BASE}
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
