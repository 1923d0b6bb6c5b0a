"""The master itself: root, and yet without what no service of its configuration needs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from harness import Superd, exchange

from superd.config.capabilities import Capability

pytestmark = pytest.mark.live

BASE = {
    Capability.CAP_SETUID,
    Capability.CAP_SETGID,
    Capability.CAP_SETPCAP,
    Capability.CAP_KILL,
    Capability.CAP_NET_BIND_SERVICE,
    Capability.CAP_DAC_READ_SEARCH,
    Capability.CAP_DAC_OVERRIDE,  # the harness has the log in a file
}


def status_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def mask(pid: int, name: str) -> int:
    return int(status_of(pid)[name], 16)


def bits(capabilities: set[Capability]) -> int:
    return sum(1 << capability for capability in capabilities)


def service(address: str, more: str = "", user: str = "daemon", port: int = 7) -> str:
    return f"""
        [services.echo]
        listen = ["tcp://{address}:{port}"]
        exec = ["/bin/cat"]
        user = "{user}"
        {more}
    """


def test_the_master_keeps_what_its_services_need_and_cannot_get_more(address: str) -> None:
    with Superd(service(address)) as superd:
        for name in ("CapPrm", "CapEff", "CapBnd"):
            assert mask(superd.master_pid, name) == bits(BASE), name
        assert status_of(superd.master_pid)["NoNewPrivs"] == "1"
        told = superd.wait_for("start")["capabilities"]
        assert set(told.split()) == {capability.name for capability in BASE}
        assert exchange(address, 7, b"x") == b"x"


def test_with_a_service_of_root_the_master_keeps_all_and_says_so(address: str) -> None:
    everything = mask(1, "CapPrm") & mask(1, "CapBnd")
    with Superd(service(address, user="root")) as superd:
        assert mask(superd.master_pid, "CapEff") & everything == mask(superd.master_pid, "CapPrm")
        assert mask(superd.master_pid, "CapEff") & ~bits(BASE)
        assert status_of(superd.master_pid)["NoNewPrivs"] == "0"
        assert superd.wait_for("start")["capabilities"] == "all, for services.echo.user"


@pytest.mark.parametrize(
    ("more", "user", "key", "what"),
    [
        ("nice = -5", "daemon", "nice", "CAP_SYS_NICE"),
        ('root_directory = "/"', "daemon", "root_directory", "CAP_SYS_CHROOT"),
        ("socket.mark = 7", "daemon", "socket.mark", "CAP_NET_ADMIN"),
        ("", "root", "user", "privileges"),
    ],
)
def test_a_reload_that_needs_what_was_given_up_changes_nothing_and_says_so(
    address: str, more: str, user: str, key: str, what: str
) -> None:
    with Superd(service(address)) as superd:
        superd.configure(service(address, more, user))
        done = superd.ctl("reload")
        assert done.returncode == 78
        assert re.search(
            rf"services\.echo\.{re.escape(key)}: it takes .*{what}, which superd gave up .*; restart superd",
            done.stderr,
        )
        assert len(done.stderr.splitlines()) == 1, "one fault, and not what follows from it"
        assert exchange(address, 7, b"x") == b"x"
        superd.reload(service(address, "nice = 5", port=80))
        assert exchange(address, 80, b"x") == b"x"
