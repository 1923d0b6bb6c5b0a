"""What whoever imports may ask for."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import Factory, frozen

from superd.config.legacy.detect import Kind


@frozen
class Wishes:
    """The options of an import.

    Args:
        dialect: whose inetd.conf it is; empty: its content tells.
        usual: what a file is if its content does not tell; None: nobody's.
        faithful: keep the old ways wherever superd deliberately differs.
        ports: numbers for names of services that this machine does not know.
        tcpd_asked: the old daemon was told to ask hosts.allow and hosts.deny itself, for every service.
        rate_per_min: the starts a minute that the old daemon was told to allow (``-R``); None: its default, 0: any.
        children: connections at once of a service (``-c``); None or 0: any.
        children_per_source: the same of one source (``-s``).
        per_source_per_min: connections a minute of one source (``-C``).
        hosts: addresses to listen on where the file names none (``-a``).
        backlog: of listening sockets (``-q``); None: superd's.
        settings: keys of ``[superd]`` that options stand for, as ``log``.
        files: files and folders of inetd.conf that are read together; empty: the one file that is named.
        beside: files and folders to read beside that one, where they exist (``-inetd_compat``).
        folder: where programs without a path are looked for, and where all run: the folder inetd was started in,
            which it leaves for ``/`` when it goes to the background.
    """

    dialect: str = ""
    usual: Kind | None = None
    faithful: bool = False
    ports: Mapping[str, int] = Factory(dict)
    tcpd_asked: bool = False
    rate_per_min: int | None = None
    children: int | None = None
    children_per_source: int | None = None
    per_source_per_min: int | None = None
    hosts: tuple[str, ...] = ()
    backlog: int | None = None
    settings: Mapping[str, object] = Factory(dict)
    files: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    folder: str = "/"
