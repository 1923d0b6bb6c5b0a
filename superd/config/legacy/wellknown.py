"""Ports of the services that old files name, for machines whose /etc/services is missing or short.

Source: IANA, Service Name and Transport Protocol Port Number Registry.
"""

from __future__ import annotations

_TCP = """\
tcpmux 1, echo 7, discard 9, systat 11, daytime 13, netstat 15, qotd 17, chargen 19, ftp 21, ssh 22, telnet 23,
smtp 25, time 37, whois 43, domain 53, gopher 70, finger 79, www 80, http 80, kerberos 88, pop2 109, pop-2 109,
pop3 110, pop-3 110, sunrpc 111, auth 113, ident 113, nntp 119, netbios-ssn 139, imap2 143, imap 143, imap4 143,
snmp 161, irc 194, https 443, microsoft-ds 445, exec 512, login 513, shell 514, printer 515, uucp 540, klogin 543,
kshell 544, rsync 873, imaps 993, ircs 994, pop3s 995, skkserv 1178, cvspserver 2401, dict 2628, sane-port 6566,
svn 3690, git 9418, amanda 10080"""

_UDP = """\
echo 7, discard 9, daytime 13, qotd 17, chargen 19, time 37, domain 53, bootps 67, bootpc 68, tftp 69, kerberos 88,
sunrpc 111, ntp 123, netbios-ns 137, netbios-dgm 138, snmp 161, comsat 512, biff 512, who 513, syslog 514, talk 517,
ntalk 518, route 520, kpasswd 464, amanda 10080"""


def _table(text: str) -> dict[str, int]:
    rows = (row.split() for row in text.replace("\n", " ").split(","))
    return {name: int(port) for name, port in rows}


_PORTS = {"tcp": _table(_TCP), "udp": _table(_UDP)}


def registered_port(name: str, transport: str) -> int | None:
    """The port that is registered for a name; None when there is none, or this table lacks it.

    Args:
        name: as /etc/services has it.
        transport: ``tcp`` or ``udp``.
    """
    return _PORTS[transport].get(name)
