"""The traps of xinetd.conf, X1 to X44, one after the other: what real files do and xinetd punishes, and what xinetd
does that nobody would expect."""

from __future__ import annotations

import pytest
from helpers.imports import Imported, imported, surroundings
from helpers.xinetd import defaults, stanza

from superd.config.legacy.carried import Fate, dotted

NOTED, CARRIED, FAULT, LOST, OFF = Fate.NOTED, Fate.CARRIED, Fate.FAULT, Fate.NOT_CARRIED, Fate.DISABLED
DARK = {"enabled": False}
LIT = {"enabled": None}


def other(*lines: str, name: str = "b") -> str:
    """A second service, on a port of its own."""
    return stanza(*lines, name=name).replace("7000", "7001")


def keys_of(found: Imported) -> dict[str, dict[str, object]]:
    return {one.name: dotted(one.tables) for one in found.carried.services if not one.remains_out}


@pytest.mark.parametrize(
    ("trap", "text", "services", "told"),
    [
        ("X1 brace on the same line", stanza().replace("service a\n{", "service a {") + other(),
         {"a": LIT, "b": LIT}, [NOTED]),
        ("X2 no closing brace", stanza().replace("}\n", "") + other(), {"a": LIT, "b": LIT}, [NOTED]),
        ("X3 no blank before the operator", stanza("user=root", without="user"), {"a": {"user": "root"}}, [NOTED]),
        ("X3 no blank behind it", stanza("user =root", without="user"), {"a": {"user": "root"}}, []),
        ("X4 a comment behind a value", stanza("port = 8080 # web", without="port"),
         {"a": {"listen": ["tcp://*:8080"]}}, [NOTED]),
        ("X4 a comment behind arguments", stanza("server_args = -n # hi"),
         {"a": {"exec": ["/bin/cat", "-n", "#", "hi"]}}, [NOTED]),
        ("X5 quotes", stanza('server_args = -m "a b"'), {"a": {"exec": ["/bin/cat", "-m", '"a', 'b"']}}, [NOTED]),
        ("X6 capitals", stanza("Disable = NO", "FLAGS = nodelay"), {"a": {"socket.no_delay": True, **LIT}}, []),
        ("X7 an unknown attribute", stanza("frobnicate = 3"), {"a": LIT}, [FAULT]),
        ("X8 the first counts", stanza("wait = yes"), {"a": {"mode": None}}, [NOTED]),
        ("X9 too many values", stanza("bind = 127.0.0.1 127.0.0.2"), {"a": DARK}, [FAULT, NOTED]),
        ("X10 a bad number", stanza("instances = many"), {"a": DARK}, [FAULT, NOTED]),
        ("X10 a bad user", stanza("user = root:daemon", without="user"), {"a": DARK}, [FAULT, FAULT, NOTED]),
        ("X10 a unit of seconds", stanza("rlimit_cpu = 5s"), {"a": DARK}, [FAULT, NOTED]),
        ("X10 a flag that is gone", stanza("flags = DISABLE"), {"a": DARK}, [FAULT, NOTED]),
        ("X10 no octal", stanza("umask = 8"), {"a": DARK}, [FAULT, NOTED]),
        ("X11 a bad default", defaults("cps = x y") + stanza(), {"a": LIT}, [FAULT]),
        ("X12 not in defaults", defaults("nice = 3") + stanza(), {"a": {"nice": None}}, [NOTED]),
        ("X13 a second defaults", defaults("instances = 3") + defaults("instances = 4") + stanza(),
         {"a": LIT}, [NOTED, NOTED]),
        ("X14 lists of defaults come later", stanza() + defaults("only_from = 10.0.0.0") + other(),
         {"a": {"access.allow": None}, "b": {"access.allow": ["10.0.0.0/8"]}}, [NOTED]),
        ("X15 +=", defaults("only_from = 10.0.0.0") + stanza("only_from += 127.0.0.1"),
         {"a": {"access.allow": ["10.0.0.0/8", "127.0.0.1"]}}, []),
        ("X15 =", defaults("only_from = 10.0.0.0") + stanza("only_from = 127.0.0.1"),
         {"a": {"access.allow": ["127.0.0.1"]}}, []),
        ("X15 -=", defaults("only_from = 10.0.0.0") + stanza("only_from -= 10.0.0.0"), {"a": DARK}, [NOTED]),
        ("X16 an empty list is nobody", stanza("only_from ="), {"a": DARK}, [NOTED]),
        ("X17 zeros and braces", stanza("only_from = 192.168.1.0 10.0.0.0 172.16.{1,2}"),
         {"a": {"access.allow": ["192.168.1.0/24", "10.0.0.0/8", "172.16.1.0/24", "172.16.2.0/24"]}}, []),
        ("X18 a domain", stanza("only_from = .example.org"), {"a": DARK}, [FAULT, NOTED]),
        ("X18 a host", stanza("only_from = gw.example.org"), {"a": {"access.allow": ["gw.example.org"]}}, [NOTED]),
        ("X19 on both lists", stanza("no_access = 127.0.0.0/8", "only_from = 127.0.0.1"),
         {"a": {"access.allow": ["127.0.0.1"], "access.deny": ["127.0.0.0/8"]}}, [NOTED]),
        ("X20 includedir", "includedir /etc/xinetd.d\n", {"t": LIT, "z": LIT}, [CARRIED, CARRIED]),
        ("X21 include inside", stanza("include /etc/x"), {"a": DARK}, [FAULT, NOTED]),
        ("X22 enabled of defaults", defaults("enabled = b") + stanza() + other(), {"a": DARK, "b": LIT}, [OFF]),
        ("X22 disabled of defaults", defaults("disabled = b") + stanza() + other(), {"a": LIT, "b": DARK}, [OFF]),
        ("X22 disable wins", defaults("enabled = a") + stanza("disable = yes"), {"a": DARK}, [OFF]),
        ("X23 several by id", stanza("id = one") + other("id = two", name="a"), {"one": LIT, "two": LIT}, []),
        ("X23 several without", stanza() + other(name="a"), {"a": LIT, "a-stream": LIT}, []),
        ("X24 one port twice", stanza() + stanza(name="b"), {"a": LIT, "b": DARK}, [FAULT]),
        ("X25 UNLISTED is missing", stanza(name="web", without="type"), {"web": {"listen": ["tcp://*:7000"]}}, [NOTED]),
        ("X26 the type tells the protocol", stanza("socket_type = dgram", "wait = yes", without="socket_type").replace(
            "wait = no\n", ""), {"a": {"listen": ["udp://*:7000"]}}, []),
        ("X27 IPv4 and IPv6", stanza(), {"a": {"listen": ["tcp://*:7000"]}}, []),
        ("X27 v6only", stanza("v6only = yes"), {"a": {"listen": ["tcp6://*:7000"]}}, []),
        ("X27 flags = IPv4", stanza("flags = IPv4"), {"a": {"listen": ["tcp4://*:7000"]}}, []),
        ("X28 argv[0] among the arguments", stanza("flags = NAMEINARGS", "server_args = -cat -u"),
         {"a": {"exec": ["-cat", "-u"], "exec_path": "/bin/cat"}}, []),
        ("X28 and without the flag", stanza("server_args = -u"), {"a": {"exec": ["/bin/cat", "-u"]}}, []),
        ("X29 tcpd", stanza("flags = NAMEINARGS", "server = /usr/sbin/tcpd", "server_args = in.ftpd -l",
                            without="server"), {"a": {"exec": ["/usr/sbin/in.ftpd", "-l"]}}, [NOTED]),
        ("X30 redirect", stanza("redirect = 10.0.0.5 80"), {"a": {"forward": "tcp://10.0.0.5:80"}}, [CARRIED]),
        ("X31 groups", stanza("groups = yes"), {"a": {"init_groups": True}}, []),
        ("X32 passenv", stanza("passenv = PATH"), {"a": {"pass_environment": ["PATH"]}}, []),
        ("X33 umask", stanza("umask = 027"), {"a": {"umask": "027"}}, []),
        ("X34 one value of cps", stanza("cps = 5"), {"a": DARK}, [FAULT, NOTED]),
        ("X35 UNLIMITED", stanza("instances = UNLIMITED"), {"a": {"limits.max_connections": "infinity"}}, []),
        ("X36 past midnight", stanza("access_times = 22:00-06:00"),
         {"a": {"access.hours": ["22:00-24:00", "00:00-06:00"]}}, [NOTED, NOTED]),
        ("X37 what is logged", stanza("log_type = FILE /var/log/x 10 20", "log_on_failure += HOST ATTEMPT"),
         {"a": LIT}, [LOST, LOST]),
        ("X38 units", stanza("rlimit_as = 10M", "rlimit_cpu = 5"), {"a": {"limit_as": "10MiB", "limit_cpu": "5s"}}, []),
        ("X39 INTERCEPT", stanza("flags = INTERCEPT", "wait = yes", "only_from = 10.0.0.0", without="wait"),
         {"a": DARK}, [FAULT]),
        ("X39 SENSOR", stanza("flags = SENSOR", "deny_time = FOREVER"), {}, [LOST, LOST]),
        ("X39 IDONLY", stanza("flags = IDONLY"), {"a": DARK}, [LOST]),
        ("X39 LABELED", stanza("flags = LABELED"), {"a": LIT}, [LOST]),
        ("X39 RPC", stanza("type = RPC", without="type"), {}, [LOST]),
        ("X39 mdns", stanza("mdns = yes"), {"a": LIT}, [LOST]),
        ("X39 max_load", stanza("max_load = 2.5"), {"a": {"limits.max_load": 2.5}}, []),
        ("X39 libwrap", stanza("libwrap = x"), {"a": LIT}, [LOST]),
        ("X39 banner", stanza("banner = /b"), {"a": {"banner": "/b", "access.banner_denied": "/b"}}, []),
        ("X39 TCPMUX", stanza("type = TCPMUX", without="type"), {"a": {"listen": ["tcpmux://a"]}}, []),
        ("X40 a list that never held", stanza("wait = yes", "only_from = 10.0.0.0", without="wait"),
         {"a": {"mode": "wait", "access.allow": None}}, [NOTED]),
        ("X41 flags that change nothing", stanza("flags = REUSE NORETRY"), {"a": LIT}, []),
        ("X41 NOLIBWRAP", stanza("flags = NOLIBWRAP"), {"a": {"access.hosts_access": False}}, []),
        ("X42 a long line", stanza("server_args = " + "x" * 17_000), {"a": {"exec": ["/bin/cat"]}}, [FAULT]),
        ("X42 a loop", "include /etc/xinetd.conf\n" + stanza(), {"a": LIT}, [FAULT]),
        ("X43 a host to bind", stanza("bind = www.example.org"), {"a": {"listen": ["tcp://192.0.2.7:7000"]}}, [NOTED]),
        ("X43 a host that is none", stanza("bind = nowhere.example"), {}, [FAULT]),
        ("X44 a line of inetd.conf", "ftp stream tcp nowait root /a a\n" + stanza(), {"a": LIT}, [FAULT]),
    ],
)  # fmt: skip
def test_trap(trap: str, text: str, services: dict[str, dict[str, object]], told: list[Fate]) -> None:
    files = {
        "/etc/xinetd.d/t": stanza(name="t"),
        "/etc/xinetd.d/web.conf": stanza(name="w"),
        "/etc/xinetd.d/old~": stanza(name="o"),
        "/etc/xinetd.d/z": other(name="z"),
    }
    found = imported(text, machine=surroundings(files, hosts={"www.example.org": ("192.0.2.7",)}))
    made = keys_of(found)
    assert list(made) == list(services)
    for name, keys in services.items():
        assert {key: made[name].get(key) for key in keys} == keys
    assert [one.fate for one in found.carried.remarks] == told, trap


def test_x34_the_rate_that_xinetd_has_by_itself_is_written_out() -> None:
    assert dotted(imported(stanza()).carried.defaults)["limits.rate"] == "50/s"


def test_x32_a_clean_environment_is_said() -> None:
    assert "environment" in " ".join(imported(stanza()).carried.head)


def test_x39_that_nobody_is_asked_who_he_says_he_is_is_said() -> None:
    assert imported(stanza("log_on_success = USERID")).said(LOST)
