"""The score of a service: better with every key, and with advice until nothing is left to be done."""

from __future__ import annotations

from attrs import evolve

from superd.config.model import Builtin, Listen, Scheme, Service
from superd.config.sandbox import Profile, Sandbox
from superd.config.schema import TABLES
from superd.config.security import Report, assess

CAT = Service("x", (Listen("tcp://*:7", Scheme.TCP, "*", 7),), exec=("/bin/cat",), user="daemon")


def judged(service: Service) -> Report:
    report = assess(service)
    assert report is not None
    return report


def with_sandbox(sandbox: Sandbox, user: str = "daemon") -> Report:
    return judged(evolve(CAT, sandbox=sandbox, user=user))


def test_what_superd_serves_by_itself_has_no_program_to_be_judged() -> None:
    assert assess(evolve(CAT, exec=(), builtin=Builtin.ECHO)) is None


def test_the_profiles_stand_in_their_order() -> None:
    scores = [
        with_sandbox(Sandbox(profile=profile)).exposure
        for profile in (Profile.STRICT, Profile.DEFAULT, Profile.NONE)
    ]
    assert scores == sorted(scores)
    assert scores[0] < 1
    assert with_sandbox(Sandbox(), "root").exposure > with_sandbox(Sandbox()).exposure
    assert with_sandbox(Sandbox(profile=Profile.NONE), "root").exposure == 10.0


def test_every_line_names_a_key_and_the_worst_come_first() -> None:
    report = with_sandbox(Sandbox())
    known = {**TABLES["sandbox"], **TABLES["service"]}
    assert all(line.name in known for line in report.lines)
    exposures = [line.exposure for line in report.lines]
    assert exposures == sorted(exposures, reverse=True)
    assert round(sum(exposures), 1) == report.exposure
    assert all(bool(line.remedy) == bool(line.exposure) for line in report.lines)


def test_a_key_closes_its_line() -> None:
    def open_lines(sandbox: Sandbox) -> set[str]:
        return {line.name for line in with_sandbox(sandbox).lines if line.remedy}

    assert open_lines(Sandbox()) - open_lines(Sandbox(private_tmp=True, restrict_namespaces=True)) == {
        "private_tmp",
        "restrict_namespaces",
    }
    ambient = Sandbox(ambient_capabilities=("CAP_NET_BIND_SERVICE",))
    assert "capability_bounding_set" in open_lines(ambient)
