"""``superctl grants``: who may bind what, as the broker knows it."""

from __future__ import annotations

import argparse
import grp
import json
import os
import pwd
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from superd import bind
from superd.cli.tables import align
from superd.errors import Exit
from superd.policy.grants import ANY

GrantRow = Mapping[str, Any]

_COLUMNS = ("PORTS", "ADDRESSES", "USERS", "GROUPS", "PROGRAMS", "GRANT")


def add_grants(command: Callable[[str, str], argparse.ArgumentParser]) -> None:
    made = command("grants", "which ports someone may bind with superd-bind")
    made.add_argument("user", metavar="USER", nargs="?", help="another user than yourself; for root")


def run_grants(options: argparse.Namespace) -> int:
    """Run the command; returns its exit code."""
    own = os.geteuid()
    try:
        account = pwd.getpwnam(options.user) if options.user else None
    except KeyError:
        print(f"superctl: no user {options.user}", file=sys.stderr)
        return Exit.USAGE
    if account and own not in (0, account.pw_uid):
        print("superctl: only root may ask about another user", file=sys.stderr)
        return Exit.PERMISSION
    packet = bind.REQUEST.pack(bind.MAGIC, bind.LIST, 0, 0, 0, bytes(16))
    try:
        number, words = bind.ask(packet)
    except bind.BrokerError as error:
        remedy = "does superd run as root, with [[grants]]? SUPERD_BIND_SOCKET names another socket"
        print(f"superctl: {error.filename}: {error.strerror}; {remedy}", file=sys.stderr)
        return Exit.UNAVAILABLE
    if number:
        print(f"superctl: {words}", file=sys.stderr)
        return Exit.UNAVAILABLE
    answer = json.loads(words)
    grants = [grant for grant in answer["grants"] if account is None or _is_for(grant, account)]
    if options.json:
        print(json.dumps({"grants": grants, "more": answer["more"]}, indent=2))
    else:
        print(grants_text(grants, answer["more"]))
    return Exit.OK


def _is_for(grant: GrantRow, account: pwd.struct_passwd) -> bool:
    groups = os.getgrouplist(account.pw_name, account.pw_gid)
    return bool(grant["everyone"] or account.pw_uid in grant["uids"] or set(groups) & set(grant["gids"]))


def grants_text(grants: Iterable[GrantRow], more: int) -> str:
    """The grants as a table, one a row.

    Args:
        more: how many did not fit the broker's answer.
    """
    rows = [
        (
            " ".join(grant["ports"]),
            " ".join(grant["addresses"]),
            ANY if grant["everyone"] else " ".join(map(_user_name, grant["uids"])) or "-",
            " ".join(map(_group_name, grant["gids"])) or "-",
            " ".join(grant["programs"]) or "any",
            grant["name"],
        )
        for grant in grants
    ]
    if not rows:
        return "no grants"
    return "\n".join([align([_COLUMNS, *rows]), *([f"and {more} more"] if more else [])])


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
