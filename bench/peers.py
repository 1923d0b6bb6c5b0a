"""The super-servers side by side: for each one how it is configured and started, as a row of one table.

Every peer listens on 127.0.0.1, runs the same static program as nobody:nogroup, and has its limits lifted. Each is
set up as fast as its manual allows (no name lookups, no libwrap), with its own log off unless the row says otherwise.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from attrs import Factory, frozen
from programs import Packages, Programs

CHECKOUT = Path(__file__).resolve().parent.parent
USER, GROUP = "nobody", "nogroup"
NOBODY = 65534
"""uid and gid of nobody:nogroup on Debian (base-passwd), for programs that want numbers."""


@frozen
class Site:
    """What a peer is given.

    Args:
        directory: an empty folder of its own, readable by everyone.
        port: the TCP port of 127.0.0.1 it is to listen on.
        programs: the compiled programs; ``programs.echo_once`` is the service unless another is named.
        packages: Debian's super-servers.
        python: the interpreter that runs superd.
        service: the command of another service.
    """

    directory: Path
    port: int
    programs: Programs
    packages: Packages
    python: str = sys.executable
    service: tuple[str, ...] = ()

    @property
    def command(self) -> tuple[str, ...]:
        """The service: its program and arguments."""
        return self.service or (str(self.programs.echo_once),)

    def write(self, name: str, text: str) -> str:
        """Writes a file into the peer's folder; returns its path."""
        path = self.directory / name
        path.write_text(text)
        return str(path)


@frozen
class Launch:
    """How a peer is started: in the foreground, ended by SIGTERM.

    Args:
        argv: the command.
        environment: variables beside PATH.
        uid: started as this user and group; None: as root, the peer drops by itself.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str] = Factory(dict)
    uid: int | None = None


class AbsentError(Exception):
    """The peer is not on this machine; the text says why."""


def superd(
    site: Site,
    log_format: str = "text",
    limits: str = "",
    serves: str = "",
    log: str = "",
    total: int | str = 4096,
) -> Launch:
    service = f"""\
[services.echo]
listen = ["tcp://127.0.0.1:{site.port}"]
{serves or f"exec = {json.dumps(site.command)}"}
user = "{USER}:{GROUP}"
{limits}"""
    settings = f'log_format = "{log_format}"\nmax_connections = {json.dumps(total)}'
    return superd_of(site, settings, service, log)


def superd_of(site: Site, settings: str, services: str, log: str = "") -> Launch:
    """superd with a control socket and, unless another is named, a log of its own.

    Args:
        settings: more lines of ``[superd]``.
    """
    own = f'[superd]\ncontrol = "{site.directory}/control.sock"\nlog = "{log or f"{site.directory}/log"}"\n'
    config = site.write("superd.toml", f"{own}{settings}\n\n{services}")
    return Launch((site.python, "-m", "superd", "-f", config))


def bare(site: Site) -> Launch:
    return Launch((str(site.programs.bare), str(site.port), *site.command))


def accept_echo(site: Site) -> Launch:
    return Launch((str(site.programs.accept_echo), str(site.port)), uid=NOBODY)


def accept_close(site: Site) -> Launch:
    return Launch((str(site.programs.accept_close), str(site.port)), uid=NOBODY)


def tcpserver(site: Site, most: int = 100_000) -> Launch:
    options = f"-q -H -R -l0 -c {most} -b 1024 -u {NOBODY} -g {NOBODY} 127.0.0.1 {site.port}".split()
    return debian(site, "ucspi-tcp", "usr/bin/tcpserver", *options, *site.command)


def xinetd(
    site: Site,
    log_on_success: str = "",
    log_on_failure: str = "",
    cps: str = "100000 1",
    per_source: str = "UNLIMITED",
    wrapper: tuple[str, ...] = (),
    program: tuple[str, ...] = (),
    more: str = "",
) -> Launch:
    defaults = f"log_on_success = {log_on_success}\nlog_on_failure = {log_on_failure}"
    server, *arguments = (*wrapper, *(program or site.command))
    service = f"server = {server}" + (f"\nserver_args = {' '.join(arguments)}" if arguments else "")
    return xinetd_of(site, f"{defaults}\nper_source = {per_source}\ncps = {cps}", f"{service}\n{more}")


def xinetd_of(site: Site, defaults: str, service: str) -> Launch:
    """xinetd with a log of its own and one service, whose port is the peer's.

    Args:
        defaults: more lines of the section of that name.
        service: what it does.
    """
    config = site.write(
        "xinetd.conf",
        f"""\
defaults
{{
log_type = FILE {site.directory}/log
instances = UNLIMITED
{defaults}
}}
service measured
{{
type = UNLISTED
flags = NOLIBWRAP
socket_type = stream
protocol = tcp
bind = 127.0.0.1
port = {site.port}
wait = no
user = {USER}
group = {GROUP}
{service}
}}
""",
    )
    files = ("-f", config, "-filelog", f"{site.directory}/daemon.log", "-pidfile", f"{site.directory}/pid")
    return debian(site, "xinetd", "usr/sbin/xinetd", "-dontfork", *files)


def openbsd_inetd(site: Site, most: int = 1_000_000) -> Launch:
    service = f"127.0.0.1:{site.port} stream tcp nowait.{most} {USER}:{GROUP}"
    program, *arguments = site.command
    config = site.write("inetd.conf", f"{service} {program} {' '.join((program, *arguments))}\n")
    inetd = debian(site, "openbsd-inetd", "usr/sbin/inetd", "-i", "-q", "1024", config)
    # It insists on /run/inetd.pid, which may be another inetd's: it sees a /run of its own.
    script = 'mount -t tmpfs superd-bench /run && exec "$@"'
    return Launch(("unshare", "--mount", "sh", "-c", script, "sh", *inetd.argv), inetd.environment)


def socket_activate(site: Site) -> Launch:
    program = shutil.which("systemd-socket-activate")
    if program is None:
        raise AbsentError("systemd-socket-activate is not installed (Debian: package systemd)")
    options = ("--inetd", "-a", "-l", f"127.0.0.1:{site.port}")
    argv = (program, *options, *site.command)
    return Launch(argv, {"SYSTEMD_LOG_LEVEL": "err"}, uid=NOBODY)


def debian(site: Site, package: str, program: str, *arguments: str) -> Launch:
    """A program of an unpacked Debian package."""
    if package in site.packages.missing:
        raise AbsentError(f"package {package}: {site.packages.missing[package]}")
    path = site.packages.root / package / program
    return Launch((str(path), *arguments), {"LD_LIBRARY_PATH": site.packages.library_path})


@frozen
class Peer:
    """One row of the table.

    Args:
        name: as ``--peer`` takes it.
        title: as the table of results shows it.
        launch: writes the configuration and says how to start it; raises AbsentError.
        package: the package of Debian's that has to be unpacked for it.
    """

    name: str
    title: str
    launch: Callable[[Site], Launch]
    package: str | None = None


PEERS = (
    Peer("superd", "superd, text log", superd),
    Peer("superd-json", "superd, JSON log", partial(superd, log_format="json")),
    Peer("bare", "bare C loop: accept, vfork, exec", bare),
    Peer("tcpserver", "tcpserver (ucspi-tcp)", tcpserver, "ucspi-tcp"),
    Peer("xinetd", "xinetd, no log", xinetd, "xinetd"),
    Peer("xinetd-log", "xinetd, log", partial(xinetd, log_on_success="PID HOST EXIT DURATION"), "xinetd"),
    Peer("openbsd-inetd", "openbsd-inetd", openbsd_inetd, "openbsd-inetd"),
    Peer("socket-activate", "systemd-socket-activate", socket_activate),
)

CEILING = Peer("ceiling", "no child at all: accept, echo", accept_echo)
"""What the load generator is measured against."""
