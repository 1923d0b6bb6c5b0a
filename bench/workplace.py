"""Where the scenarios with real super-servers work: a folder that user nobody can read, programs, packages."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from attrs import frozen
from programs import Packages, Programs, compile_programs, unpack_packages


class HasPackage(Protocol):
    """Whoever may need a package of Debian's to be unpacked: a row of any table."""

    @property
    def package(self) -> str | None: ...


@frozen
class Workplace:
    """What the super-servers of one run share."""

    directory: Path
    programs: Programs
    packages: Packages


@contextmanager
def workplace(peers: Iterable[HasPackage], cache: Path, wanted: Iterable[str] = ()) -> Iterator[Workplace]:
    """A folder for the block, with the programs compiled and the peers' packages unpacked.

    Args:
        peers: who takes part.
        cache: where the packages are kept between runs.
        wanted: packages besides those of the peers.

    Raises:
        MissingError: something that every scenario needs is missing.
    """
    # not below /tmp, which a strict sandbox hides
    with tempfile.TemporaryDirectory(prefix="superd-bench-", dir="/var/lib") as name:
        directory = Path(name)
        directory.chmod(0o755)  # nobody executes the service from here
        programs = compile_programs(directory / "programs")
        packages = unpack_packages(cache, {*wanted, *(peer.package for peer in peers if peer.package)})
        yield Workplace(directory, programs, packages)
