"""Values that a TOML file may hold, sensible ones among them."""

from __future__ import annotations

from hypothesis import strategies as st

_LEAVES = st.one_of(
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.dates(),
    st.sampled_from(
        ["5/s", "5s", "infinity", "16MiB", "192.0.2.0/24", "Mon 08:00-18:00", "/x", "queue", "wait", "077"]
    ),
)
TOML_VALUES = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
