"""Sandboxes: what the profiles come to, what cannot be written, and what does not fit together."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from superd.config.capabilities import Capability
from superd.config.load import load
from superd.config.sandbox import (
    ANY_PORT,
    PROFILES,
    UNLIMITED,
    Feature,
    Profile,
    ProtectHome,
    ProtectSystem,
    Sandbox,
    capability_mask,
    effective,
    features,
)

from .conftest import Faults, Write

_CAT = '[services.x]\nlisten = ["tcp://*:7"]\nexec = ["/bin/cat"]\n'
_KEYS = [field.name for field in attrs.fields(Sandbox) if field.name not in ("profile", "optional")]


def loaded(write: Write, *lines: str, service: str = _CAT) -> Sandbox:
    text = f"{service}[services.x.sandbox]\n" + "\n".join(lines)
    return load(write("superd.toml", text), system=False).services["x"].sandbox


@given(st.sampled_from(Profile), st.booleans(), st.booleans())
def test_no_question_is_left_open(profile: Profile, root: bool, dynamic: bool) -> None:
    whole = effective(Sandbox(profile=profile, dynamic_user=dynamic), root)
    assert None not in attrs.astuple(whole)
    assert effective(whole, root) == whole


def test_every_key_stands_in_the_table_of_profiles() -> None:
    for profile in Profile:
        assert list(PROFILES[profile]) == _KEYS


@pytest.mark.parametrize("key", _KEYS)
def test_what_is_written_counts_whatever_the_profile_says(key: str) -> None:
    for profile in Profile:
        written = PROFILES[Profile.STRICT if profile is not Profile.STRICT else Profile.NONE][key]
        whole = effective(Sandbox(profile=profile, **{key: written}), root=False)  # type: ignore[arg-type] # any key
        if key == "capability_bounding_set":
            assert set(getattr(whole, key)) <= set(written)  # type: ignore[call-overload] # of names
        else:
            assert getattr(whole, key) == written


def test_the_default_lets_root_change_its_user() -> None:
    assert effective(Sandbox(), root=False).no_new_privileges is True
    assert effective(Sandbox(), root=False).capability_bounding_set == ()
    assert effective(Sandbox(), root=True).no_new_privileges is False
    assert effective(Sandbox(), root=True).capability_bounding_set == tuple(Capability.__members__)
    strict = effective(Sandbox(profile=Profile.STRICT), root=True)
    assert (strict.no_new_privileges, strict.capability_bounding_set) == (True, ())


def test_what_is_ambient_can_be_had_and_what_another_key_takes_cannot() -> None:
    whole = effective(Sandbox(ambient_capabilities=("CAP_NET_BIND_SERVICE",)), root=False)
    assert whole.capability_bounding_set == ("CAP_NET_BIND_SERVICE",)
    held = effective(
        Sandbox(private_devices=True, protect_kernel_modules=True), root=True
    ).capability_bounding_set
    assert set(Capability.__members__) - set(held or ()) == {"CAP_MKNOD", "CAP_SYS_RAWIO", "CAP_SYS_MODULE"}
    assert capability_mask(("CAP_CHOWN", "CAP_NET_RAW")) == 1 | 1 << 13


def test_a_dynamic_user_leaves_nothing_behind() -> None:
    whole = effective(Sandbox(dynamic_user=True), root=False)
    assert whole.private_tmp and whole.restrict_suid_sgid and whole.no_new_privileges
    assert whole.protect_system is ProtectSystem.STRICT
    assert whole.protect_home is ProtectHome.READ_ONLY
    strict = effective(Sandbox(dynamic_user=True, profile=Profile.STRICT), root=False)
    assert strict.protect_home is ProtectHome.YES


def test_what_a_sandbox_takes() -> None:
    def asked(root: bool = False, **keys: object) -> dict[Feature, str]:
        return features(effective(Sandbox(**keys), root), root)  # type: ignore[arg-type] # any key

    assert asked() == {Feature.SECCOMP: "profile"}
    assert asked(root=True) == {}
    assert asked(root=True, lock_personality=True) == {Feature.SECCOMP: "lock_personality"}
    assert asked(private_tmp=True)[Feature.MOUNT_NAMESPACE] == "private_tmp"
    assert asked(tcp_bind_ports=())[Feature.LANDLOCK] == "tcp_bind_ports"
    assert asked(tasks_max=5)[Feature.CGROUP] == "tasks_max"
    assert set(asked(profile=Profile.STRICT)) == set(Feature) - {Feature.LANDLOCK, Feature.CGROUP}
    assert asked(profile=Profile.NONE) == {Feature.SECCOMP: "profile"}


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("protect_system = true", "protect_system", ProtectSystem.YES),
        ('protect_system = "full"', "protect_system", ProtectSystem.FULL),
        ("protect_home = false", "protect_home", ProtectHome.NO),
        ('protect_home = "tmpfs"', "protect_home", ProtectHome.TMPFS),
        (
            'capability_bounding_set = ["CAP_KILL", "CAP_CHOWN"]',
            "capability_bounding_set",
            ("CAP_CHOWN", "CAP_KILL"),
        ),
        ("capability_bounding_set = []", "capability_bounding_set", ()),
        ("tcp_connect_ports = [443, 80, 80]", "tcp_connect_ports", (80, 443)),
        ('tcp_connect_ports = "any"', "tcp_connect_ports", ANY_PORT),
        ("tcp_connect_ports = []", "tcp_connect_ports", ()),
        ('memory_max = "64MiB"', "memory_max", 64 << 20),
        ('memory_max = "infinity"', "memory_max", UNLIMITED),
        ('cpu_quota = "150%"', "cpu_quota", 150),
        ("tasks_max = 64", "tasks_max", 64),
        ("restrict_namespaces = true", "restrict_namespaces", True),
        ('restrict_namespaces = ["user"]', "restrict_namespaces", ("user",)),
        ('read_only_paths = ["-+/a"]', "read_only_paths", ("-+/a",)),
        ('optional = ["landlock"]', "optional", (Feature.LANDLOCK,)),
    ],
)
def test_values(write: Write, line: str, key: str, value: object) -> None:
    assert getattr(loaded(write, line), key) == value


def test_a_list_with_a_tilde_is_all_the_others(write: Write) -> None:
    held = loaded(write, 'capability_bounding_set = ["~CAP_BPF", "CAP_SYS_ADMIN"]').capability_bounding_set
    assert set(Capability.__members__) - set(held or ()) == {"CAP_BPF", "CAP_SYS_ADMIN"}


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ('profile = "hard"', 'profile = "hard": not one of its words; write "strict", "default" or "none"'),
        ("protect_system = 1", 'protect_system = 1: not one of its words; write false, true, "full" or "strict"'),
        ('protect_system = "true"', 'protect_system = "true": not one of its words; '
         'write false, true, "full" or "strict"'),
        ('ambient_capabilities = ["NET_RAW"]', 'ambient_capabilities = "NET_RAW": no capability; write "CAP_NET_RAW"'),
        ('ambient_capabilities = ["~CAP_KILL"]', 'ambient_capabilities = ["~CAP_KILL"]: all but some; '
         "name those that the program needs"),
        ('capability_bounding_set = ["CAP_KILL", "~CAP_BPF"]',
         'capability_bounding_set = ["CAP_KILL", "~CAP_BPF"]: ~ in front of a later one only; '
         "write it in front of the first, which is for all of them"),
        ('read_only_paths = ["etc"]', 'read_only_paths = "etc": not an absolute path; '
         "write a path that starts with / (or -/, +/, -+/)"),
        ('landlock_read_paths = ["+/etc"]', 'landlock_read_paths = "+/etc": + in front; '
         "remove it: Landlock's paths are those that the program sees"),
        ("tcp_bind_ports = [0]", "tcp_bind_ports = [0]: not a port; write 1 to 65535, without quotes"),
        ("tcp_bind_ports = 80", 'tcp_bind_ports = 80: not a list; write [8080], [] for none, or "any"'),
        ("cpu_quota = 50", 'cpu_quota = 50: not a percentage; '
         'write "50%" for half a processor, "200%" for two, or "infinity"'),
        ("tasks_max = 1", 'tasks_max = 1: out of range; write 2 to 4194304, or "infinity"'),
        ('system_call_filter = ["@nobody"]', 'system_call_filter = "@nobody": no group of that name; '
         "see syscalls(2), systemd.exec(5)"),
        ('system_call_error_number = "EWHAT"', 'system_call_error_number = "EWHAT": not an errno; '
         'write its name, as "EPERM", or "kill"'),
        ('optional = ["seccom"]', 'optional = "seccom": no feature; write one of seccomp, landlock, cgroup, '
         "mount_namespace, network_namespace, pid_namespace, user_namespace"),
        ("private_tmp = 1", "private_tmp = 1: not a boolean; write true or false"),
        ("PrivateTmp = true", "PrivateTmp: unknown key; write private_tmp"),
        ('system_call_filter = ["~read"]', 'system_call_filter = ["~read"]: denies read, '
         "without which no program can be started; leave it out there"),
        ('private_users = true\nambient_capabilities = ["CAP_KILL"]',
         'ambient_capabilities = ["CAP_KILL"]: private_users makes them worth nothing outside; '
         "remove it, or write private_users = false"),
        ("private_network = true\ntcp_bind_ports = [80]",
         "tcp_bind_ports = [80]: private_network denies bind, since nobody would come; "
         "remove it, or write private_network = false"),
        ("dynamic_user = true\nprivate_tmp = false",
         "private_tmp = false: dynamic_user comes with it: what its user leaves would be the next one's; "
         "remove it, or write dynamic_user = false"),
    ],
)  # fmt: skip
def test_what_cannot_be_obeyed_is_said(faults: Faults, line: str, fault: str) -> None:
    assert f"services.x.sandbox.{fault}" in faults(f"{_CAT}[services.x.sandbox]\n{line}\n")


@pytest.mark.parametrize(
    ("service", "line", "fault"),
    [
        (_CAT.replace("tcp:", "udp:"), "private_network = true",
         "services.x.sandbox.private_network = true: the socket of a datagram's peer can be connected to anybody; "
         'write private_network = false, or mode = "wait"'),
        (_CAT.replace("tcp:", "udp:"), 'profile = "strict"',
         "services.x.sandbox.profile = \"strict\": private_network: the socket of a datagram's peer can be connected "
         'to anybody; write private_network = false, or mode = "wait"'),
        (_CAT + 'forward = "tcp://127.0.0.1:8080"\n', 'profile = "strict"',
         'services.x.sandbox.profile = "strict": private_network: nobody reaches the backend at tcp://127.0.0.1:8080 '
         'there; write private_network = false, or forward = "unix:///PATH"'),
        (_CAT + 'user = "daemon"\n', "dynamic_user = true",
         'services.x.user = "daemon": dynamic_user gives it one; remove it, or write dynamic_user = false'),
        (_CAT.replace('exec = ["/bin/cat"]', 'builtin = "echo"'), "private_tmp = true",
         "services.x.sandbox.private_tmp = true: only for exec and handler; remove it"),
    ],
)  # fmt: skip
def test_what_does_not_fit_its_service_is_said(faults: Faults, service: str, line: str, fault: str) -> None:
    assert fault in faults(f"{service}[services.x.sandbox]\n{line}\n")


def test_what_does_fit(write: Write) -> None:
    udp = _CAT.replace("tcp:", "udp:") + 'mode = "wait"\n'
    assert loaded(write, "private_network = true", service=udp).private_network
    backend = _CAT + 'forward = "unix:///run/x"\n'
    assert loaded(write, 'profile = "strict"', service=backend).profile is Profile.STRICT


def test_defaults_are_for_those_that_execute_something(write: Write) -> None:
    text = f'[defaults.sandbox]\nprofile = "strict"\n{_CAT}[services.y]\nlisten = ["tcp://*:9"]\nbuiltin = "echo"\n'
    services = load(write("superd.toml", text), system=False).services
    assert services["x"].sandbox.profile is Profile.STRICT
    assert services["y"].sandbox == Sandbox()
