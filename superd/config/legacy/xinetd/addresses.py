"""What ``only_from`` and ``no_access`` may hold, as rules of ``[access]``.

Source: xinetd.conf(5); addr.c of xinetd 2.3.15.
"""

from __future__ import annotations

import re
from socket import AF_INET6, inet_aton, inet_ntop, inet_pton

from attrs import frozen

from superd.config.legacy.xinetd.values import BadValueError
from superd.policy.access import is_host_name
from superd.policy.networks import WIDTHS, Network, address_text

_FACTORED = re.compile(r"((?:[0-9]{1,3}\.){0,3})\{([0-9]{1,3}(?:,[0-9]{1,3})*)\}")
_PREFIX = re.compile(r"([^/]+)/([0-9]{1,3})")
_NETMASK = re.compile(r"([0-9.]+)/([0-9]+\.[0-9]+\.[0-9]+\.[0-9]+)")
_MAPPED = 0xFFFF
_BEFORE_MAPPED = 80  # leading zeros of ::ffff:0:0/96
_ALL_ONES = 0xFFFF_FFFF


@frozen
class Rules:
    """The rules that one word of a list becomes.

    Args:
        texts: items of ``allow`` or ``deny``.
        note: where they do not say exactly what xinetd heard; else empty.
    """

    texts: tuple[str, ...]
    note: str = ""


def rules_of(word: str) -> Rules:
    """The rules of one word.

    Raises:
        BadValueError: there are none.
    """
    if "{" in word:
        return Rules(_factored(word))
    if "," in word:
        return _joined(word)
    if "/" in word:
        return _network(word)
    value = _four(word)
    if value is not None:
        return _by_zeros(word, value)
    if ":" in word:
        return Rules((_single_six(word),))
    return _name(word)


def _joined(word: str) -> Rules:
    """A comma where a blank belongs: xinetd disables the service over it."""
    parts = [rules_of(part) for part in word.split(",") if part]
    texts = tuple(text for part in parts for text in part.texts)
    if not texts:
        raise BadValueError(f'no address in "{word}"')
    return Rules(texts, "xinetd separates addresses by blanks and disables a service over a comma; mended")


def _factored(word: str) -> tuple[str, ...]:
    """``172.16.{1,2}``: each of these networks."""
    match = _FACTORED.fullmatch(word)
    numbers = match[2].split(",") if match else []
    fixed = [int(part) for part in match[1].split(".") if part] if match else []
    values = [int(number) for number in numbers if number]
    if not values or len(values) != len(numbers) or max(*fixed, *values, 0) > 255:
        raise BadValueError(f'"{word}" is no address with its last part in braces')
    length = 8 * (len(fixed) + 1)
    texts = []
    for value in values:
        octets = [*fixed, value, 0, 0, 0][:4]
        texts.append(str(Network(4, int.from_bytes(bytes(octets)), length)))
    return tuple(texts)


def _network(word: str) -> Rules:
    match = _NETMASK.fullmatch(word)
    if match:
        return _netmask(word, match[1], match[2])
    match = _PREFIX.fullmatch(word)
    if not match:
        raise BadValueError(f'"{word}" is no network')
    length = int(match[2])
    four = _four(match[1])
    version, value = (4, four) if four is not None else (6, _six(match[1]))
    if version == 6 and value >> 32 == _MAPPED and length >= 96:
        version, value, length = 4, value & _ALL_ONES, length - 96
    if length > WIDTHS[version]:
        raise BadValueError(f'"{word}" has more than {WIDTHS[version]} bits')
    text = _text(version, value, length)
    if version == 6 and length <= _BEFORE_MAPPED and not value >> (128 - length):
        return Rules((text, "0.0.0.0/0"))  # on its sockets for both families IPv4 is part of it
    return Rules((text,))


def _netmask(word: str, address: str, mask: str) -> Rules:
    """xinetd reads 255 of 255.255.255.0 as the number of bits, and matches one address."""
    value, bits = _four(address), _four(mask)
    if value is None or bits is None:
        raise BadValueError(f'"{word}" is no network')
    host = bits ^ _ALL_ONES
    if host & (host + 1):
        raise BadValueError(f'"{mask}" is no netmask')
    text = _text(4, value, 32 - host.bit_length())
    return Rules(
        (text,), f"xinetd knows no netmasks and matches the address {address} alone; mended to {text}"
    )


def _by_zeros(word: str, value: int) -> Rules:
    """An IPv4 address, whose rightmost zeros stand for anything."""
    length = 32
    while length and not value & (0xFF << (32 - length)):
        length -= 8
    text = _text(4, value, length)
    dotted = address_text(4, value)
    return Rules((text,), "" if dotted == word else f"to xinetd this is {dotted}")


def _name(word: str) -> Rules:
    if word.startswith("."):
        raise BadValueError(
            f'"{word}" is a domain; superd never asks who a client says he is. Write its networks'
        )
    if not is_host_name(word):
        raise BadValueError(f'"{word}" is neither an address nor a name')
    return Rules(
        (word.lower(),),
        "xinetd asks what the client's address is called; superd looks up the addresses of the name",
    )


def _text(version: int, value: int, length: int) -> str:
    shift = WIDTHS[version] - length
    network = Network(version, value >> shift << shift, length)
    if network.is_single and not value:
        raise BadValueError("an address that nobody has")
    return str(network)


def _four(text: str) -> int | None:
    """An IPv4 address as inet_aton(3) reads it, so that 127.1 is 127.0.0.1."""
    if not text or text.strip("0123456789.xXabcdefABCDEF") or not text[0].isdigit():
        return None
    try:
        return int.from_bytes(inet_aton(text))
    except OSError:
        return None


def _six(text: str) -> int:
    try:
        return int.from_bytes(inet_pton(AF_INET6, text))
    except (OSError, ValueError):
        raise BadValueError(f'"{text}" is no address') from None


def _single_six(word: str) -> str:
    value = _six(word)
    if value >> 32 == _MAPPED:
        return _text(4, value & _ALL_ONES, 32)
    if not value:
        raise BadValueError('"::" matches no client of xinetd; write ::/0 if all of IPv6 is meant')
    return inet_ntop(AF_INET6, value.to_bytes(16))
