"""What scopes allow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from musterd.auth import Action, Resource, allows

AGENTS, TASKS, RUN, READ = Resource.AGENTS, Resource.TASKS, Action.RUN, Action.READ


@pytest.mark.parametrize(
    ("scope", "resource", "action", "component_id", "is_allowed"),
    [
        ("agents:run", AGENTS, RUN, None, True),
        ("agents:run", AGENTS, RUN, "shop", True),
        ("agents:*:run", AGENTS, RUN, None, True),
        ("agents:*:run", AGENTS, RUN, "shop", True),
        ("agents:shop:run", AGENTS, RUN, "shop", True),
        ("agents:shop:run", AGENTS, RUN, "shop2", False),
        ("agents:shop:run", AGENTS, RUN, None, False),
        ("agents:shop:run", AGENTS, READ, "shop", False),
        ("agents:shop:run", Resource.TEAMS, RUN, "shop", False),
        ("agents:read", AGENTS, RUN, "shop", False),
        ("agents:*", AGENTS, RUN, "shop", False),
        ("*:run", AGENTS, RUN, "shop", False),
        ("*", AGENTS, RUN, "shop", False),
        ("agents", AGENTS, RUN, "shop", False),
        ("agents:run:x", AGENTS, RUN, "x", False),
        ("AGENTS:RUN", AGENTS, RUN, "shop", False),
        ("agents::run", AGENTS, RUN, "shop", False),
        ("agents:a:b:run", AGENTS, RUN, "a:b", True),
        ("agents:a:b:run", AGENTS, RUN, "a", False),
        ("tasks:read", TASKS, READ, None, True),
        ("tasks:write", TASKS, READ, None, False),
        ("musterd:admin", TASKS, READ, None, True),
        ("musterd:admin", AGENTS, RUN, "shop", True),
        ("musterd:impersonate", AGENTS, RUN, "shop", False),
        ("musterd:administrator", AGENTS, RUN, "shop", False),
    ],
)
def test_a_scope_allows_what_it_names(
    scope: str, resource: Resource, action: Action, component_id: str | None, is_allowed: bool
) -> None:
    """I4."""
    assert allows({scope}, resource, action, component_id) is is_allowed


def test_no_scopes_allow_nothing() -> None:
    """I4."""
    assert not any(allows(set(), resource, action, "shop") for resource in Resource for action in Action)


words = st.sampled_from(["", "*", "shop", "shop:run", "musterd", "admin", *Resource, *Action])
scopes = st.lists(words | st.text(max_size=4), min_size=1, max_size=4).map(":".join)


@given(
    granted=st.frozensets(scopes, max_size=8),
    resource=st.sampled_from(Resource),
    action=st.sampled_from(Action),
    component_id=st.none() | words | st.text(max_size=4),
)
def test_nothing_but_a_matching_scope_or_the_admin_scope_allows(
    granted: frozenset[str], resource: Resource, action: Action, component_id: str | None
) -> None:
    """I4 (refusal)."""
    matching = {scope for scope in granted if _matches(scope.split(":"), resource, action, component_id)}
    is_allowed = allows(granted, resource, action, component_id)
    assert is_allowed is bool(matching or "musterd:admin" in granted)
    assert not allows(granted - matching - {"musterd:admin"}, resource, action, component_id)


def _matches(parts: list[str], resource: Resource, action: Action, component_id: str | None) -> bool:
    """Read a scope as its form says, other than `allows`, which writes the scopes that would do."""
    if len(parts) < 2 or parts[0] != resource or parts[-1] != action:
        return False
    middle = parts[1:-1]
    return middle in ([], ["*"]) or (component_id is not None and ":".join(middle) == component_id)
