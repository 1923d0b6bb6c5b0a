"""The drop-in of superctl tune --save."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest

from superd.cli.overrides import save_overrides
from superd.config.load import load
from superd.errors import ConfigError
from superd.policy.rules import Rate

MAIN = """\
[services.ftp] # mine
listen = ["tcp://127.0.0.1:2121"]
exec = ["/bin/cat"]
user = "daemon"
"""


@pytest.fixture
def main(tmp_path: Path) -> Path:
    path = tmp_path / "superd.toml"
    path.write_text(MAIN)
    path.chmod(0o644)
    return path


def test_values_are_added_to_what_was_saved_before(main: Path) -> None:
    save_overrides(str(main), "ftp", {"limits.rate": "5/s"})
    path = save_overrides(str(main), "ftp", {"limits.burst": 9, "access.deny": ["192.0.2.1"]})
    saved = tomllib.loads(Path(path).read_text())
    assert saved == {
        "override": {"ftp": {"limits": {"rate": "5/s", "burst": 9}, "access": {"deny": ["192.0.2.1"]}}}
    }
    service = load(str(main)).services["ftp"]
    assert (service.limits.burst, service.access.deny) == (9, ("192.0.2.1",))
    assert main.read_text() == MAIN
    assert sorted(one.name for one in main.parent.iterdir()) == ["superd.override.toml", "superd.toml"]


def test_what_would_not_load_is_not_saved_and_named(main: Path) -> None:
    with pytest.raises(ConfigError) as found:
        save_overrides(str(main), "ftp", {"limits.burst": 9})
    assert [fault.file for fault in found.value.faults] == [str(main.parent / "superd.override.toml")]
    assert [one.name for one in main.parent.iterdir()] == ["superd.toml"]


@pytest.mark.parametrize("text", ["[override", "[override.ftp]\nlimits = 5\n"])
def test_a_broken_drop_in_is_left_as_it_is(main: Path, text: str) -> None:
    broken = main.parent / "superd.override.toml"
    broken.write_text(text)
    with pytest.raises(ConfigError):
        save_overrides(str(main), "ftp", {"limits.rate": "5/s"})
    assert broken.read_text() == text


def test_what_lies_in_the_way_is_replaced_and_not_written_through(main: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("mine")
    os.link(other, main.parent / "superd.override.toml.new")
    save_overrides(str(main), "ftp", {"limits.rate": "5/s"})
    assert other.read_text() == "mine"
    os.mkfifo(main.parent / "superd.override.toml.new")
    save_overrides(str(main), "ftp", {"limits.rate": "6/s"})
    assert load(str(main)).services["ftp"].limits.rate == Rate(6)


def test_a_configuration_on_standard_input_has_no_drop_in() -> None:
    with pytest.raises(ConfigError, match="standard input: has no file of overrides beside it; start superd"):
        save_overrides("-", "ftp", {"limits.rate": "5/s"})
