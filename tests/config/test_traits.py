"""What a service is, as the needs of keys ask for it."""

from __future__ import annotations

import io

import pytest

from superd.config.load import load
from superd.config.traits import traits_of


@pytest.mark.parametrize(
    ("listen", "mode", "traits"),
    [
        ('"tcp://*:1"', "nowait", {"tcp", "stream", "nowait"}),
        ('"tcp6://*:1", "udp4://*:1"', "nowait", {"tcp", "stream", "udp", "nowait"}),
        ('"unix:///run/x"', "always", {"unix", "stream", "always"}),
        ('"udp://*:1", "unix-dgram:///run/x"', "wait", {"udp", "unix", "wait", "wait-datagrams"}),
        ('"udp://*:1", "unix-seqpacket:///run/x"', "wait", {"udp", "unix", "stream", "wait"}),
        ('"udp://*:1"', "always", {"udp", "always"}),
    ],
)
def test_a_service_has_the_traits_of_its_listeners_and_its_mode(
    listen: str, mode: str, traits: set[str]
) -> None:
    text = f'[services.x]\nlisten = [{listen}]\nmode = "{mode}"\nexec = ["/bin/x"]'
    assert traits_of(load("-", stdin=io.StringIO(text)).services["x"]) == traits | {"exec"}
