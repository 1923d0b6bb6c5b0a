"""A service in one word, and what superctl and the log are told of it."""

from __future__ import annotations

from typing import Any

import pytest
from helpers.clocked import clocked

from superd.acceptor.report import explain, state_lines, status
from superd.acceptor.services import Child, Service, State

from .test_accept import tcp
from .workshop import Workshop, engine, settings

BROKEN = {0: ("tcp://*:21", "Address already in use")}


@pytest.mark.parametrize(
    ("changed", "state"),
    [
        ({}, State.LISTENING),
        ({"children": {1: Child(1, "192.0.2.1", 5)}}, State.RUNNING),
        ({"broken": BROKEN}, State.RETRYING),
        ({"fault": "superd.toml: no such user"}, State.FAULTY),
        ({"fault": "disabled"}, State.DISABLED),
        ({"fault": "disabled", "broken": BROKEN}, State.DISABLED),
    ],
)
def test_a_service_in_one_word(changed: dict[str, Any], state: State) -> None:
    assert Service(1, settings(), engine(), **changed).state is state


@clocked
async def test_a_service_with_some_of_its_listeners_is_partial_and_one_that_stands_back_retries() -> None:
    with Workshop() as shop:
        shop.listen(tcp())
        shop.service.broken = {1: ("tcp://*:22", "Address already in use")}
        states = [shop.service.state]
        shop.service.retry = shop.timers.after(1, lambda: None)
        states.append(shop.service.state)
    assert states == [State.PARTIAL, State.RETRYING]


def test_status_holds_what_was_promised_to_scripts() -> None:
    service = Service(1, settings(), engine(), accepted=7, broken=dict(BROKEN))
    service.refused["rate"] += 2
    one = status([service])["ftp"]
    assert one["state"] == "retrying"
    assert one["listen"] == ["tcp://*:21"]
    assert one["mode"] == "nowait"
    assert (one["children"], one["accepted"], one["refused"]) == (0, 7, {"rate": 2})
    assert one["broken"] == {"tcp://*:21": "Address already in use"}
    assert one["trouble"] == ""


@clocked
async def test_status_says_why_a_service_is_tried_again_as_long_as_it_is() -> None:
    with Workshop() as shop:
        shop.service.trouble = "its program failed"
        told = [status([shop.service])["ftp"]["trouble"]]
        shop.service.retry = shop.timers.after(1, lambda: None)
        told.append(status([shop.service])["ftp"]["trouble"])
    assert told == ["", "its program failed"]


def test_the_log_gets_one_line_a_service() -> None:
    services = [
        Service(1, settings(), engine(), accepted=7),
        Service(2, settings(name="ssh"), engine(), fault="disabled"),
    ]
    told = [(line["service"], line["state"], line["accepted"]) for line in state_lines(services)]
    assert told == [("ftp", "listening", 7), ("ssh", "disabled", 0)]


def test_explain_has_the_settings_and_the_state() -> None:
    told = explain(Service(1, settings(program=("ftpd", "-l")), engine()))
    assert told["program"] == ("ftpd", "-l")
    assert told["state"] == "listening"
