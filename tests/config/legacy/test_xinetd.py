"""xinetd.conf: what becomes of its attributes, and of xinetd's own quirks."""

from __future__ import annotations

import pytest
from helpers.imports import imported, surroundings
from helpers.xinetd import DATAGRAMS, PLAIN, defaults, faulty, noted, one, stanza

from superd.config.legacy.carried import Fate
from superd.config.model import INFINITY, Mode
from superd.policy.rules import UNLIMITED

# --- names, protocols, addresses ---


def test_a_faithful_import_keeps_the_one_socket_for_both_families() -> None:
    assert one(faithful=True).socket.dual_stack
    assert one().socket.dual_stack is None


def test_several_stanzas_of_one_name_are_told_apart_by_id() -> None:
    text = stanza("id = one", name="x") + stanza("id = two", name="x").replace("7000", "7001")
    assert list(imported(text).config.services) == ["one", "two"]


def test_the_same_name_twice_gets_another_one() -> None:
    assert len(imported(stanza() + stanza().replace("7000", "7001")).config.services) == 2


def test_of_two_on_one_port_the_second_is_off() -> None:
    found = imported(stanza() + stanza(name="b"))
    assert (found.service("a").enabled, found.service("b").enabled) == (True, False)
    assert faulty(found, "listens there too")


def test_protocol_follows_from_the_type_and_the_other_way_round() -> None:
    assert one("protocol = tcp", without="socket_type").listen[0].text == "tcp://*:7000"
    assert one("protocol = udp", without="socket_type").listen[0].text == "udp://*:7000"


@pytest.mark.parametrize(("lines", "without"), [(("protocol = udp",), ""), ((), "socket_type")])
def test_without_one_protocol_nothing_is_served(lines: tuple[str, ...], without: str) -> None:
    assert not imported(stanza(*lines, without=without)).config.services


def test_a_dgram_service_without_wait_is_off_as_it_was() -> None:
    assert not one("socket_type = dgram", without="socket_type").enabled


@pytest.mark.parametrize(
    ("lines", "listen"),
    [
        ((), "tcp://*:7000"),
        (("flags = IPv4",), "tcp4://*:7000"),
        (("flags = IPv6",), "tcp://*:7000"),
        (("flags = IPv4 IPv6",), "tcp://*:7000"),
        (("v6only = yes",), "tcp6://*:7000"),
        (("bind = 0.0.0.0",), "tcp4://*:7000"),
        (("bind = ::",), "tcp://*:7000"),
        (("bind = 192.0.2.1",), "tcp://192.0.2.1:7000"),
        (("interface = ::1",), "tcp://[::1]:7000"),
        (("bind = www.example.org",), "tcp://192.0.2.7:7000"),
        (("bind = www.example.org", "flags = IPv6"), "tcp://[2001:db8::7]:7000"),
    ],
)
def test_where_a_service_listens(lines: tuple[str, ...], listen: str) -> None:
    machine = surroundings(hosts={"www.example.org": ("192.0.2.7", "2001:db8::7")})
    assert imported(stanza(*lines), machine=machine).only().listen[0].text == listen


def test_a_bind_name_without_address_is_no_service_for_all() -> None:
    found = imported(stanza("bind = nowhere.example.org"))
    assert not found.config.services
    assert faulty(found, "the name has none here")


def test_a_port_comes_from_the_name_of_the_service() -> None:
    assert imported(stanza(name="ftp", before=PLAIN[:4])).only().listen[0].port == 21


def test_a_name_nobody_knows_is_told_with_a_remedy() -> None:
    text = stanza(name="stockfish", before=PLAIN[:4])
    assert faulty(imported(text), "--port stockfish=NUMBER")
    assert imported(text, wishes={"ports": {"stockfish": 4711}}).only().listen[0].port == 4711


def test_a_port_without_unlisted_is_carried() -> None:
    found = imported(stanza(without="type"))
    assert found.only().enabled
    assert noted(found, "wants type = UNLISTED here")


# --- programs ---


@pytest.mark.parametrize(
    ("lines", "argv"),
    [
        ((), ("/bin/cat",)),
        (("server_args = cat -u",), ("/bin/cat", "cat", "-u")),
        (("flags = NAMEINARGS", "server_args = cat -u"), ("/bin/cat", "-u")),
    ],
)
def test_arguments(lines: tuple[str, ...], argv: tuple[str, ...]) -> None:
    assert one(*lines).exec == argv


def test_another_name_for_the_program() -> None:
    service = one("flags = NAMEINARGS", "server_args = dog -u")
    assert (service.exec_path, service.exec) == ("/bin/cat", ("dog", "-u"))


def test_a_program_is_called_as_xinetd_does_when_that_is_wished() -> None:
    service = one("server_args = -u", faithful=True)
    assert (service.exec_path, service.exec) == ("/bin/cat", ("cat", "-u"))


@pytest.mark.parametrize(("daemon", "path"), [("in.ftpd", "/usr/sbin/in.ftpd"), ("/opt/ftpd", "/opt/ftpd")])
def test_tcpd_makes_way_for_hosts_access(daemon: str, path: str) -> None:
    service = one(
        "flags = NAMEINARGS", "server = /usr/sbin/tcpd", f"server_args = {daemon} -l", without="server"
    )
    assert (service.program, service.exec[1:]) == (path, ("-l",))
    assert service.access.hosts_access


def test_without_a_program_nothing_is_served() -> None:
    found = imported(stanza(without="server"))
    assert not found.config.services
    assert faulty(found, "no server")


def test_a_user_by_number_is_in_the_group_of_that_number() -> None:
    service = one("user = 1000", without="user")
    assert (service.user, service.group) == ("1000", "1000")


def test_groups_are_left_out_unless_asked_for() -> None:
    assert not one().init_groups
    assert one("groups = yes").init_groups


def test_the_environment_is_what_is_written() -> None:
    found = imported(stanza('env = "A=1"', "env += B=2=3", "passenv = PATH TZ"))
    assert found.only().environment == {"A": "1", "B": "2=3"}
    assert found.only().pass_environment == ("PATH", "TZ")
    assert noted(found, "knows no quotes")


def test_resource_limits() -> None:
    limits = one(
        "rlimit_as = 10M", "rlimit_stack = UNLIMITED", "rlimit_files = 64", "rlimit_data = 3k"
    ).resource_limits
    assert {name: limit.soft for name, limit in limits.items()} == {
        "as": 10 << 20, "stack": INFINITY, "nofile": 64, "data": 3 << 10,
    }  # fmt: skip


def test_wait_gives_the_socket_to_one_program() -> None:
    service = imported(stanza("instances = 9", "only_from = 10.0.0.0", before=DATAGRAMS)).only()
    assert service.mode is Mode.WAIT
    assert service.listen[0].text == "udp://*:7000"
    assert service.access.allow == ("10.0.0.0/8",)


# --- who may come, how many, when ---


def test_rules_of_addresses_apply_to_streams_with_wait_no_more_than_they_did() -> None:
    found = imported(stanza("wait = yes", "only_from = 10.0.0.0", without="wait"))
    assert found.only().enabled
    assert found.only().access.allow == ()
    assert noted(found, "hold for no client of a stream service with wait = yes")


def test_a_stream_with_wait_that_xinetd_stood_before_is_off() -> None:
    found = imported(stanza("wait = yes", "flags = INTERCEPT", "only_from = 10.0.0.0", without="wait"))
    assert not found.only().enabled
    assert faulty(found, "superd gives it the listening socket")


def test_limits() -> None:
    limits = one("instances = 30", "per_source = 5", "cps = 25 30", "max_load = 3.5").limits
    assert (limits.max_connections, limits.max_connections_per_source, limits.max_load) == (30, 5, 3.5)
    assert limits.rate.count == 25


def test_a_rate_that_trips_refuses_and_says_so() -> None:
    assert noted(imported(stanza("cps = 25 30")), "switches the service off for 30 s; superd refuses")


def test_without_limits_superd_has_its_own_and_xinetds_rate() -> None:
    assert one().limits.rate.count == 50
    assert one().limits.max_connections == 256
    faithful = one(faithful=True).limits
    assert (faithful.max_connections, faithful.max_connections_per_source) == (UNLIMITED, UNLIMITED)


def test_cps_of_nothing_is_no_rate() -> None:
    assert 'rate = "infinity"' in imported(stanza("cps = 0 0")).text


def test_more_of_one_source_than_of_all_is_as_many() -> None:
    assert one("instances = 3", "per_source = 10").limits.max_connections_per_source == 3


def test_hours_past_midnight_are_mended() -> None:
    found = imported(stanza("access_times = 2:00-9:00 22:00-06:00 12:00-23:59"))
    assert found.only().access.hours == ("02:00-09:00", "22:00-24:00", "00:00-06:00", "12:00-24:00")
    assert noted(found, "no interval past midnight")


def test_hosts_access_is_asked_unless_it_is_switched_off() -> None:
    assert one().access.hosts_access
    assert not one("flags = NOLIBWRAP").access.hosts_access


def test_who_is_on_both_lists_is_told() -> None:
    found = imported(stanza("only_from = 10.0.0.0", "no_access = 10.1.0.0"))
    assert found.only().access.deny == ("10.1.0.0/16",)
    assert noted(found, "the more specific item counts")


@pytest.mark.parametrize("flag", ["SENSOR", "IDONLY", "LABELED"])
def test_flags_without_counterpart_are_told(flag: str) -> None:
    assert imported(stanza(f"flags = {flag}")).says("", Fate.NOT_CARRIED)


def test_whoever_asked_who_the_client_is_gets_no_open_service_instead() -> None:
    assert not one("flags = IDONLY").enabled


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (("type = RPC", "rpc_version = 2"), "no RPC programs"),
        (("deny_time = 120",), "no honeypots"),
        (("mdns = yes",), "announces nothing"),
        (("log_on_failure += USERID",), "USERID"),
        (("log_type = FILE /var/log/x",), "one log for all services"),
        (("libwrap = other",), "by the name of its program"),
    ],
)
def test_what_superd_has_not_is_told(lines: tuple[str, ...], words: str) -> None:
    assert imported(stanza(*lines, without="type" if "type" in lines[0] else "")).says(
        words, Fate.NOT_CARRIED
    )


def test_the_log_of_defaults_is_superds() -> None:
    assert (
        imported(defaults("log_type = SYSLOG authpriv info") + stanza()).config.settings.syslog_facility
        == "authpriv"
    )
    assert imported(defaults("log_type = FILE /var/log/x") + stanza()).config.settings.log == "/var/log/x"


def test_standard_error_goes_to_the_log_unless_the_old_way_is_wished() -> None:
    assert one().standard_error == "log"
    assert one(faithful=True).standard_error == "socket"


def test_every_fault_names_its_line() -> None:
    remarks = imported(stanza("frobnicate = 3")).carried.remarks
    assert [(one.origin.line, one.origin.text) for one in remarks if one.fate is Fate.FAULT] == [
        (9, "frobnicate = 3")
    ]


# --- what superd serves by itself ---

_INTERNAL = ("type = INTERNAL UNLISTED", "socket_type = stream", "wait = no", "port = 7000")


@pytest.mark.parametrize("name", ["echo", "discard", "chargen", "daytime", "time"])
def test_internal_services_are_builtin(name: str) -> None:
    service = imported(stanza(name=name, before=_INTERNAL)).only()
    assert (service.builtin, service.enabled, service.exec) == (name, True, ())


def test_internal_services_of_datagrams_are_builtin_too() -> None:
    service = imported(
        stanza("id = time-udp", name="time", before=("type = INTERNAL", *DATAGRAMS[:2]))
    ).only()
    assert (service.name, service.builtin, service.listen[0].text) == ("time-udp", "time", "udp://*:37")


@pytest.mark.parametrize("name", ["services", "servers", "xadmin"])
def test_what_xinetd_has_no_more_is_told(name: str) -> None:
    found = imported(stanza(name=name, before=_INTERNAL))
    assert not found.config.services
    assert found.says("any more", Fate.NOT_CARRIED)


def test_a_redirect_forwards() -> None:
    found = imported(stanza("redirect = 10.0.0.5 8080", "per_source = 3"))
    assert found.only().forward is not None
    assert 'forward = "tcp://10.0.0.5:8080"' in found.text
    assert "user = " not in found.text
    assert found.only().limits.max_connections_per_source == 3


def test_a_redirect_to_ipv6() -> None:
    assert 'forward = "tcp://[2001:db8::1]:80"' in imported(stanza("redirect = 2001:db8::1 80")).text


def test_services_behind_tcpmux() -> None:
    text = stanza(name="tcpmux", before=("type = INTERNAL UNLISTED", *_INTERNAL[1:])) + stanza(
        "type = TCPMUXPLUS UNLISTED", name="x", without="type"
    )
    found = imported(text)
    assert found.service("tcpmux").builtin == "tcpmux"
    assert found.service("x").listen[0].text == "tcpmux://+x"


def test_banners() -> None:
    service = one("banner_success = /etc/hello", "banner_fail = /etc/no")
    assert service.banner == "/etc/hello"
    assert (service.access.banner_denied, service.limits.banner_limited) == ("/etc/no", "/etc/no")
    whole = one("banner = /etc/hello")
    assert (whole.banner, whole.access.banner_denied) == ("/etc/hello", "/etc/hello")
    assert imported(defaults("banner = /etc/all") + stanza()).only().banner == "/etc/all"


def test_a_banner_for_datagrams_means_nothing() -> None:
    assert imported(stanza("banner = /etc/hello", before=DATAGRAMS)).only().banner == ""
