"""The table of keys agrees with the model it fills."""

from __future__ import annotations

import re
import tomllib

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from superd.config.dialects import advise
from superd.config.drafts import parse_table
from superd.config.findings import Place
from superd.config.keys import Key
from superd.config.manpage import EXAMPLE, render
from superd.config.model import INFINITY, GrantTable, Service, SuperdSettings
from superd.config.schema import KEYS, NESTED, TABLES
from superd.errors import Fault

from .values import TOML_VALUES

_CLASSES: dict[str, type[attrs.AttrsInstance]] = {
    "superd": SuperdSettings,
    "service": Service,
    **{nested.name: type(nested.plain) for nested in NESTED},
    "grant": GrantTable,
}
_FACTORY: type[object] = type(attrs.fields(Service).environment.default)
_LOADED = {"include"}  # used up by the loader
_COMPOSED = {"name", "source_file", *(nested.name for nested in NESTED)}  # made from more than one key


def _model_default(key: Key) -> object:
    default = getattr(attrs.fields(_CLASSES[key.table]), key.field).default
    return {} if isinstance(default, _FACTORY) else default


@pytest.mark.parametrize("table", _CLASSES)
def test_every_field_of_the_model_has_a_key(table: str) -> None:
    filled = {key.field for key in TABLES[table].values() if key.name not in _LOADED}
    composed = {"service": _COMPOSED, "grant": {"file", "key"}}.get(table, set())
    assert filled | composed == {field.name for field in attrs.fields(_CLASSES[table])}


@pytest.mark.parametrize(
    "key", [key for key in KEYS if key.default], ids=lambda key: f"{key.table}.{key.name}"
)
def test_the_default_that_the_page_shows_is_the_models(key: Key) -> None:
    written = tomllib.loads(f"x = {key.default}")["x"]
    assert key.kind.parse(written) == _model_default(key)


@pytest.mark.parametrize(
    "key", [key for key in KEYS if not key.default and key.field], ids=lambda key: f"{key.table}.{key.name}"
)
def test_a_key_without_a_default_leaves_the_model_empty(key: Key) -> None:
    assert _model_default(key) in (None, "", (), {}, 0, attrs.NOTHING)


@pytest.mark.parametrize("key", KEYS, ids=lambda key: f"{key.table}.{key.name}")
def test_a_field_names_the_unit_of_its_kind(key: Key) -> None:
    if key.field not in ("", "resource_limits"):
        assert key.field.endswith("_s") == key.kind.word.startswith("duration")
        assert key.field.endswith("_bytes") == (key.kind.word == "size")


def test_every_meaning_is_made_of_sentences() -> None:
    for key in KEYS:
        assert key.meaning[0].isupper() or key.meaning[0] == '"'
        assert key.meaning.endswith(".")


def test_the_page_names_every_key_and_shows_the_example() -> None:
    page = render()
    for key in KEYS:
        assert f".It Ic {key.name} No = Ar " in page
    assert EXAMPLE.startswith("[superd]")
    assert INFINITY < 0  # no limit that can be written is taken for none


@pytest.mark.parametrize(
    ("table", "name", "remedy"),
    [
        ("service", "only_from", "write [services.ftp.access] allow"),
        ("service", "no_access", "write [services.ftp.access] deny"),
        ("service", "access_times", 'write [services.ftp.access] hours = ["08:00-18:00"]'),
        ("service", "libwrap", "write [services.ftp.access] hosts_access"),
        ("service", "banner_fail", "write [services.ftp.access] banner_denied"),
        ("service", "cps", 'write [services.ftp.limits] rate = "50/s"'),
        ("service", "instances", "write [services.ftp.limits] max_connections"),
        ("service", "per_source", "write [services.ftp.limits] max_connections_per_source"),
        ("service", "max_load", "write [services.ftp.limits] max_load"),
        ("service", "deny_time", "write [services.ftp.limits] penalty"),
        ("service", "MaxConnections", "write [services.ftp.limits] max_connections"),
        ("service", "MaxConnectionsPerSource", "write [services.ftp.limits] max_connections_per_source"),
        ("service", "TriggerLimitIntervalSec", 'write [services.ftp.limits] rate = "50/s"'),
        ("service", "PollLimitBurst", "write [services.ftp.limits] burst"),
        ("service", "IPAddressDeny", "write [services.ftp.access] deny"),
        ("service", "PerSourcePenalties", "write [services.ftp.limits] penalty"),
        ("service", "rate", "write [services.ftp.limits] rate"),
        ("service", "accept_from", "write [services.ftp.proxy_protocol] accept_from"),
        ("service", "timeout", "write runtime_max, idle_timeout or timeout_stop"),
        ("service", "banner_success", "write banner"),
        ("superd", "max-connections", "write max_connections"),
        ("superd", "instances", "write [services.NAME.limits] max_connections"),
        ("service", "redirect", "write forward"),
        ("service", "server", 'write exec = ["/path/of/program", "argument"]'),
        ("service", "server_args", 'write exec = ["/path/of/program", "argument"]'),
        ("service", "socket_type", 'write listen = ["tcp://*:PORT"]'),
        ("service", "port", 'write listen = ["tcp://*:PORT"]'),
        ("service", "bind", 'write listen = ["tcp://ADDRESS:PORT"]'),
        ("service", "wait", 'write mode = "nowait" for no, "wait" for yes'),
        ("service", "disable", "write enabled = true for no, false for yes"),
        ("service", "log_type", "write [superd] log"),
        ("service", "rlimit_files", "write limit_nofile"),
        ("service", "ListenStream", 'write listen = ["tcp://*:PORT"]'),
        ("service", "ExecStart", 'write exec = ["/path/of/program", "argument"]'),
        ("service", "Accept", 'write mode = "nowait" for yes, "wait" for no'),
        ("service", "KeepAlive", "write [services.ftp.socket] keep_alive"),
        ("service", "IPTOS", "write [services.ftp.socket] ip_tos"),
        ("service", "WorkingDirectory", "write working_directory"),
        ("service", "UMask", "write umask"),
        ("service", "LimitNOFILE", "write limit_nofile"),
        ("service", "RuntimeMaxSec", "write runtime_max"),
        ("service", "ProgramArguments", 'write exec = ["/path/of/program", "argument"]'),
        ("service", "SockPathMode", "write [services.ftp.socket] socket_mode"),
        ("service", "working-directory", "write working_directory"),
        ("service", "control", "write [superd] control"),
        ("service", "SO_KEEPALIVE", "write [services.ftp.socket] keep_alive"),
        ("service", "TCP_NODELAY", "write [services.ftp.socket] no_delay"),
        ("service", "IPV6_TCLASS", "write [services.ftp.socket] ip_tos"),
        ("service", "IPV6_V6ONLY", 'write listen = ["tcp6://*:PORT"]'),
        ("service", "so_rcvbuf", "write [services.ftp.socket] receive_buffer"),
        ("service", "exce", "did you mean exec?"),
        ("service", "sockets", "did you mean [services.ftp.socket]?"),
        ("service", "Limit", "did you mean [services.ftp.limits]?"),
        ("service", "ACCESS", "did you mean [services.ftp.access]?"),
        ("service", "environmnt", "did you mean environment?"),
        ("service", "qqq", "superd.toml(5) lists the keys"),
        ("superd", "umask", "write [services.NAME] umask"),
        ("superd", "logformat", "write log_format"),
    ],
)
def test_an_unknown_key_is_answered_with_the_known_one(table: str, name: str, remedy: str) -> None:
    path = {"superd": "superd", "service": "services.ftp"}[table]
    assert advise(table, name, path) == ("unknown key", remedy)


def test_a_key_of_another_table_is_sent_there() -> None:
    assert advise("socket", "Umask", "services.ftp.socket") == ("unknown key", "write [services.ftp] umask")
    assert advise("socket", "no_delai", "defaults.socket") == ("unknown key", "did you mean no_delay?")
    assert advise("socket", "SO_MARK", "services.ftp.socket") == ("unknown key", "write mark")
    assert advise("socket", "SO_REUSEPORT", "defaults.socket") == ("unknown key", "write reuse_port")
    assert advise("service", "no_delay", "defaults") == ("unknown key", "write [defaults.socket] no_delay")
    assert advise("limits", "allow", "services.x.limits") == (
        "unknown key",
        "write [services.x.access] allow",
    )
    assert advise("limits", "nice", "override.x.limits") == ("unknown key", "write [override.x] nice")
    assert advise("access", "only_from", "services.x.access") == ("unknown key", "write allow")
    assert advise("limits", "cps", "services.limits.limits") == ("unknown key", 'write rate = "50/s"')
    assert advise("proxy_protocol", "backlog", "defaults.proxy_protocol") == (
        "unknown key",
        "write [defaults.socket] backlog",
    )


@pytest.mark.parametrize("option", sorted(set(re.findall(r"\b(?:SO|TCP|IP|IPV6)_\w+", render()))))
def test_an_option_that_the_page_names_is_known_by_that_name(option: str) -> None:
    problem, remedy = advise("service", option, "services.ftp")
    assert problem == "unknown key" and remedy.startswith("write [services.ftp.socket] ")


def test_a_key_of_a_later_version_is_not_called_unknown() -> None:
    assert advise("superd", "metrics", "superd") == ("not supported by this version", "remove it")


@given(st.sampled_from(KEYS), TOML_VALUES)
def test_any_value_of_any_key_means_something_or_is_a_fault(key: Key, value: object) -> None:
    faults: list[Fault] = []
    values = parse_table(key.table, {key.name: value}, Place("superd.toml"), faults)
    assert bool(values) != bool(faults)
    assert all(fault.problem and str(fault).isprintable() for fault in faults)
