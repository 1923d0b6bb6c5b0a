"""The drop-in of superctl tune --save."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from superd.cli.overrides import save_overrides
from superd.config.load import load
from superd.errors import ConfigError

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


def test_a_broken_drop_in_is_left_as_it_is(main: Path) -> None:
    broken = main.parent / "superd.override.toml"
    broken.write_text("[override")
    with pytest.raises(ConfigError):
        save_overrides(str(main), "ftp", {"limits.rate": "5/s"})
    assert broken.read_text() == "[override"
