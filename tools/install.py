"""Installs superd on a machine, or into the staging folder of a package: ``make install`` and ``make uninstall``.

The program lives in a folder of its own, LIBDIR/superd, laid out as a virtual environment without pip: the
commands start its ``python3``, so whatever superd starts anew finds superd again, and no other package of the
machine takes part. DESTDIR stands in no installed file.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

from environment import ROOT, build_wheel, read_project

DAEMONS = {"superd", "superd-inetd", "superd-xinetd"}
"""The commands that go to SBINDIR; the others go to BINDIR."""

COMMAND = """\
#!{python} -I
import sys

from {module} import {function}

sys.exit({function}())
"""


def main() -> None:
    options = parse_arguments()
    os.umask(0o022)
    if options.uninstall:
        uninstall(options)
        return
    install_library(options)
    for target, text, mode in files(options):
        place = staged(options, target)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        place.chmod(mode)
    if not options.destdir:
        print(
            f"Installed. Next: cp {options.docdir}/examples/superd.toml /etc/superd.toml, and read superd(8)."
        )


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--python", required=True, help="the interpreter of the installed commands")
    parser.add_argument("--destdir", default="", help="staging folder")
    for folder in ("bindir", "sbindir", "libdir", "mandir", "docdir", "unitdir", "sysusersdir"):
        parser.add_argument(f"--{folder}", required=True)
    parser.add_argument(
        "--dependencies",
        choices=("bundled", "system"),
        required=True,
        help="bundled: install what superd needs beside it; system: use the interpreter's own packages",
    )
    parser.add_argument("--uninstall", action="store_true")
    return parser.parse_args()


def staged(options: argparse.Namespace, target: str) -> Path:
    return Path(f"{options.destdir}{Path(target).absolute()}")


def install_library(options: argparse.Namespace) -> None:
    """Write LIBDIR/superd: interpreter link, superd, and with ``bundled`` its dependencies."""
    library = staged(options, f"{options.libdir}/superd")
    shutil.rmtree(library, ignore_errors=True)
    (library / "bin").mkdir(parents=True)
    (library / "bin" / "python3").symlink_to(options.python)
    system = "true" if options.dependencies == "system" else "false"
    (library / "pyvenv.cfg").write_text(
        f"home = {Path(options.python).parent}\ninclude-system-site-packages = {system}\n"
    )
    with tempfile.TemporaryDirectory(prefix="superd-wheel-") as folder:
        wheel = build_wheel(Path(sys.executable), Path(folder))
        pip_install(options, site_packages(library), str(wheel), "--no-deps")
        if options.dependencies == "bundled":
            pip_install(options, site_packages(library), *read_project()["project"]["dependencies"])


def site_packages(library: Path) -> Path:
    """Where an environment of this Python keeps its packages (sysconfig's scheme "venv")."""
    places = {"base": str(library), "platbase": str(library)}
    return Path(sysconfig.get_path("purelib", "venv", places))


def pip_install(options: argparse.Namespace, target: Path, *wanted: str) -> None:
    """Install wheels into a folder. In a package, byte code is the packager's business."""
    compiled = "--no-compile" if options.destdir else "--compile"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", compiled]
    subprocess.run([*command, "--upgrade", "--target", target, *wanted], check=True)
    shutil.rmtree(target / "bin", ignore_errors=True)  # commands with this environment's interpreter


def files(options: argparse.Namespace) -> Iterator[tuple[str, str, int]]:
    """Everything but the library: where it goes, what is in it, and its permission bits."""
    for name, entry in read_project()["project"]["scripts"].items():
        module, function = entry.split(":")
        python = f"{options.libdir}/superd/bin/python3"
        yield (
            command_path(options, name),
            COMMAND.format(python=python, module=module, function=function),
            0o755,
        )
    for page in sorted(ROOT.glob("man/*.[1-8]")):
        yield f"{options.mandir}/man{page.suffix[1:]}/{page.name}", page.read_text(), 0o644
    unit = (ROOT / "etc/systemd/superd.service").read_text()
    unit = unit.replace("/usr/local/sbin/", f"{options.sbindir}/")
    yield f"{options.unitdir}/superd.service", unit, 0o644
    yield f"{options.sysusersdir}/superd.conf", (ROOT / "etc/sysusers.d/superd.conf").read_text(), 0o644
    for example in [ROOT / "etc/superd.toml", *sorted(ROOT.glob("etc/examples/*.toml"))]:
        yield f"{options.docdir}/examples/{example.name}", example.read_text(), 0o644
    for handler in sorted(ROOT.glob("etc/examples/handlers/*.py")):
        yield f"{options.docdir}/examples/handlers/{handler.name}", handler.read_text(), 0o644
    yield f"{options.docdir}/CHANGELOG.md", (ROOT / "CHANGELOG.md").read_text(), 0o644
    yield f"{options.docdir}/README.md", (ROOT / "README.md").read_text(), 0o644


def command_path(options: argparse.Namespace, name: str) -> str:
    return f"{options.sbindir if name in DAEMONS else options.bindir}/{name}"


def uninstall(options: argparse.Namespace) -> None:
    """Remove what ``files`` and ``install_library`` write; configuration and logs stay."""
    for target, _text, _mode in files(options):
        staged(options, target).unlink(missing_ok=True)
    shutil.rmtree(staged(options, options.docdir), ignore_errors=True)
    shutil.rmtree(staged(options, f"{options.libdir}/superd"), ignore_errors=True)


if __name__ == "__main__":
    main()
