"""What a sandbox costs: superd's, which is built once for a service, and wrappers that build one for each connection.

systemd's own way, a unit for each connection, needs a machine that systemd has booted. Under xinetd the wrappers of
Debian do what superd's profiles do: ``setpriv`` about as much as the default one, ``bwrap`` as the strict one, without
its system call filter.
"""

from __future__ import annotations

import shutil
import subprocess
from functools import partial

from peers import NOBODY, AbsentError, Launch, Peer, Site, superd, xinetd


def _superd(site: Site, profile: str) -> Launch:
    return superd(site, limits=f'[services.echo.sandbox]\nprofile = "{profile}"\n')


def _setpriv(site: Site) -> Launch:
    program = shutil.which("setpriv")
    if program is None:
        raise AbsentError("setpriv is not installed (Debian: package util-linux)")
    return xinetd(site, wrapper=(program, "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all", "--"))


_BWRAP = (
    *("--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"),
    *(
        "--ro-bind",
        "/",
        "/",
        "--dev",
        "/dev",
        "--proc",
        "/proc",
        "--tmpfs",
        "/home",
        "--tmpfs",
        "/root",
        "--",
    ),
)


def _bwrap(site: Site) -> Launch:
    if "bubblewrap" in site.packages.missing:
        raise AbsentError(f"package bubblewrap: {site.packages.missing['bubblewrap']}")
    # where it is unpacked user nobody may not look
    program = shutil.copy(site.packages.root / "bubblewrap/usr/bin/bwrap", site.directory / "bwrap")
    wrapper = (str(program), *_BWRAP)
    tried = subprocess.run(
        [*wrapper, "/bin/true"], user=NOBODY, group=NOBODY, capture_output=True, check=False
    )
    if tried.returncode != 0:
        raise AbsentError(tried.stderr.decode(errors="replace").strip() or "bwrap fails")
    return xinetd(site, wrapper=wrapper)


SANDBOXED = (
    Peer("superd-strict", "superd, strict", partial(_superd, profile="strict")),
    Peer("superd-default", "superd, default", partial(_superd, profile="default")),
    Peer("superd-none", "superd, none", partial(_superd, profile="none")),
    Peer("xinetd", "xinetd, no log", xinetd, "xinetd"),
    Peer("xinetd-setpriv", "xinetd, setpriv", _setpriv, "xinetd"),
    Peer("xinetd-bwrap", "xinetd, bwrap", _bwrap, "xinetd"),
)

WRAPPERS = ("bubblewrap",)
"""Packages that are wanted besides those of the peers."""
