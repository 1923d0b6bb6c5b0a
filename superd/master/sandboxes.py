"""Whether this machine offers what the sandbox of a service needs."""

from __future__ import annotations

import os
from collections.abc import Iterator

from superd.config.findings import toml_text
from superd.config.model import Service
from superd.config.sandbox import ANY_PORT, Feature, Sandbox, effective, features
from superd.errors import Fault
from superd.kernel import cgroups, landlock
from superd.kernel.features import lacks

_NEEDS_ROOT = "start superd as root"


def sandbox_faults(service: Service, root: bool) -> list[Fault]:
    """What of its sandbox a service cannot have here and now.

    Args:
        root: whether its programs run as root.
    """
    sandbox = effective(service.sandbox, root)
    of_root = () if os.geteuid() == 0 else _of_root(service, sandbox)
    return [*_without_features(service, sandbox, root), *of_root, *_without_paths(service)]


def lacking_features(service: Service, sandbox: Sandbox) -> frozenset[Feature]:
    """The optional features that it would have, and that are not there."""
    return frozenset(
        feature
        for feature in features(sandbox, root=False)
        if feature in service.sandbox.optional and _reason(feature, sandbox)
    )


def _reason(feature: Feature, sandbox: Sandbox) -> str:
    reason = lacks(feature)
    if not reason and feature is Feature.CGROUP:
        return cgroups.problem(sandbox, cgroups.own_group())
    names_ports = (sandbox.tcp_bind_ports, sandbox.tcp_connect_ports) != (ANY_PORT, ANY_PORT)
    if not reason and feature is Feature.LANDLOCK and names_ports and landlock.abi() < landlock.NET_ABI:
        return f"Landlock of this kernel knows no ports (ABI {landlock.abi()}; kernel 6.7 has {landlock.NET_ABI})"
    return reason


def _without_features(service: Service, sandbox: Sandbox, root: bool) -> Iterator[Fault]:
    for feature, key in features(sandbox, root).items():
        if feature in sandbox.optional:
            continue
        try:
            reason = _reason(feature, sandbox)
        except OSError as error:
            yield _fault(
                service, key, f"{feature} cannot be tried: {error.strerror}", "reload once that has passed"
            )
            continue
        if reason:
            as_user = _NEEDS_ROOT if os.geteuid() != 0 and feature is not Feature.SECCOMP else ""
            remedy = f'{as_user or "leave it out"}, or do without: optional = ["{feature}"]'
            yield _fault(service, key, f"it takes {feature}: {reason}", remedy)


def _of_root(service: Service, sandbox: Sandbox) -> Iterator[Fault]:
    """What an ordinary user's superd cannot give."""
    if sandbox.ambient_capabilities:
        yield _fault(
            service, "ambient_capabilities", "only root can give any", f"{_NEEDS_ROOT}, or leave it out"
        )
    if sandbox.dynamic_user:
        yield _fault(
            service, "dynamic_user", "only root can become another user", f"{_NEEDS_ROOT}, or leave it out"
        )
    if not sandbox.no_new_privileges:
        problem = "without it, only root can install the filters that protect the spawner"
        yield _fault(service, "no_new_privileges", problem, f"{_NEEDS_ROOT}, or write true")


_PATHS = ("read_only_paths", "read_write_paths", "inaccessible_paths", "no_exec_paths")
_LANDLOCK_PATHS = ("landlock_read_paths", "landlock_write_paths", "landlock_execute_paths")


def _without_paths(service: Service) -> Iterator[Fault]:
    """Paths that are not there and have to be."""
    for key in (*_PATHS, *_LANDLOCK_PATHS):
        for text in getattr(service.sandbox, key) or ():
            inside = text.startswith("+") or key in _LANDLOCK_PATHS
            path = (service.root_directory if inside else "") + text.removeprefix("+")
            if not text.startswith("-") and not os.path.lexists(path):
                remedy = f'check it, or write "-{text}" if it need not be there'
                yield _fault(service, key, f"no such file or folder {path}", remedy)


def _fault(service: Service, key: str, problem: str, remedy: str) -> Fault:
    """About the key, or about the profile where that is what asks for it."""
    written = getattr(service.sandbox, key)
    if written is None:
        key, written, problem = "profile", service.sandbox.profile, f"{key}: {problem}"
    shown = written if isinstance(written, bool | int) else str(written)
    if isinstance(written, tuple):
        shown = list(written)  # type: ignore[assignment] # as TOML has it
    return Fault(
        service.source_file,
        f"services.{service.name}.sandbox.{key}",
        problem,
        remedy,
        toml_text(shown),
        service.name,
    )
