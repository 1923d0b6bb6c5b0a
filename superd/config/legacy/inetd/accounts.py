"""Users, groups and login classes, as each inetd tells them apart."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from superd.config.legacy.carried import Fate
from superd.config.legacy.inetd.dialects import Accounts, Dialect
from superd.config.legacy.inetd.entries import EntryError, Note

_ROOT = ("root", "0")


@frozen
class Account:
    """Whom a program runs as; the group may be empty."""

    user: str
    group: str = ""

    def __str__(self) -> str:
        return f"{self.user}:{self.group}" if self.group else self.user


def account_of(
    text: str, dialect: Dialect, is_user: Callable[[str], bool] | None, notes: list[Note], *, faithful: bool
) -> Account:
    """The account of an entry; notes are added to.

    Args:
        text: as written.
        dialect: whose it is.
        is_user: whether this machine has a user; None when nobody may ask.
        faithful: leave a group out that the old daemon did not use.

    Raises:
        EntryError: it is none.
    """
    account = _split(text, dialect, is_user, notes)
    if not account.user:
        raise EntryError("no user")
    if account.user in _ROOT and account.group not in ("", *_ROOT):
        told = f"{dialect.words} left a root program in root's group"
        superd = "superd does too" if faithful else f"superd puts it into {account.group}"
        notes.append(Note(Fate.NOTED, f"{told}; {superd}", "user"))
        return Account(account.user) if faithful else account
    if account.user.isdigit() and account.user.isascii():
        told = f"{dialect.words} wanted a name and refused the line; superd takes the number"
        notes.append(Note(Fate.NOTED, told, "user"))
    return account


def _split(text: str, dialect: Dialect, is_user: Callable[[str], bool] | None, notes: list[Note]) -> Account:
    if dialect.accounts is Accounts.SLASH:
        return _freebsd(text, notes)
    if "/" in text:
        raise EntryError(f"{text}: a login class, which {dialect.words} does not know")
    if ":" in text:
        user, _, group = text.partition(":")
        if "." in user and dialect.accounts is Accounts.DOT_FIRST:
            told = f"{dialect.words} would have looked for the user {user.partition('.')[0]}"
            notes.append(Note(Fate.NOTED, f"{told}; superd takes {user}", "user"))
        return Account(user, group)
    user, dot, group = text.partition(".")
    if dot and is_user is not None and is_user(text):
        told = f"{dialect.words} would have looked for the user {user}"
        notes.append(Note(Fate.NOTED, f"{told}; there is a user {text}, whom superd takes", "user"))
        return Account(text)
    return Account(user, group)


def _freebsd(text: str, notes: list[Note]) -> Account:
    """``user:group/class``: dots belong to the name."""
    whole, slash, login_class = text.rpartition("/")
    whole = whole if slash else text
    if slash:
        told = f"FreeBSD's limits, umask and priority of the login class {login_class} are not here"
        notes.append(Note(Fate.NOT_CARRIED, f"{told}; limit_*, umask and nice set them", "user"))
    user, colon, group = whole.rpartition(":")
    return Account(user, group) if colon else Account(whole)
