"""hosts.allow and hosts.deny, decided as tcpd decides, but for what needs the client's name, an ident or a command.

The first rule of hosts.allow that matches grants, else the first of hosts.deny refuses, else access is granted.
superd looks no name up in reverse, asks no ident and runs nothing, so some rules cannot mean here what they mean to
tcpd. One principle says what becomes of those: nobody is admitted whom tcpd would refuse. A pattern that needs the
client's name matches nobody. Where that only keeps people out it is a warning; where it would let them in it is a
fault, and a service that the rule concerns is not served.

What looks odd here is libwrap's, as Debian builds it: ``10.0.0.0/33`` matches nobody, ``0.0.0.0/0`` neither, and a
hosts.deny without a newline at its end refuses everyone.

Source: libwrap 7.6.q-32 (Debian 12): hosts_access(5), hosts_options(5), and its code where these say nothing.
"""

from superd.policy.hosts_access.access import HostsAccess
from superd.policy.hosts_access.reading import parse_rules
from superd.policy.hosts_access.rules import Rules

__all__ = ["HostsAccess", "Rules", "parse_rules"]
