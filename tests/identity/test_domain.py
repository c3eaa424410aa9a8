"""Roles and what they allow."""

import pytest

from assent.identity.domain import ROLES, Binding, Permission, checked_role, checked_scopes, permissions_of
from assent.kernel.errors import Invalid

BREAKING_GLASS = {Permission.BREAK_GLASS_OPEN, Permission.BREAK_GLASS_SECOND, Permission.BREAK_GLASS_REVIEW}
VOTING = {Permission.REQUEST_VOTE, Permission.CARD_REVIEW}
EVERY_ROLE = sorted(ROLES)


def test_a_role_in_a_project_allows_nothing_in_another():
    held = [Binding("operator", "shop")]
    assert permissions_of(held, "shop") == ROLES["operator"]
    assert permissions_of(held, "bank") == frozenset()


def test_a_role_everywhere_counts_in_each_project_and_everywhere():
    held = [Binding("auditor", "*")]
    assert permissions_of(held, "shop") == permissions_of(held, None) == ROLES["auditor"]


def test_a_role_in_one_project_allows_everywhere_only_what_concerns_oneself():
    assert permissions_of([Binding("admin", "shop")], None) == {
        Permission.SELF_READ,
        Permission.SELF_CHANGE,
        Permission.TOKEN_ISSUE,
        Permission.TOKEN_REVOKE,
    }
    assert permissions_of([Binding("gateway", "shop")], None) == {Permission.SELF_READ}


def test_roles_add_up():
    held = [Binding("reviewer", "shop"), Binding("engineer", "shop"), Binding("operator", "bank")]
    assert permissions_of(held, "shop") == ROLES["reviewer"] | ROLES["engineer"]
    assert permissions_of([], None) == frozenset()


def test_an_administrator_may_do_all_but_approve():
    assert set(Permission) - ROLES["admin"] == VOTING | BREAKING_GLASS


def test_only_a_reviewer_approves():
    assert [role for role in EVERY_ROLE if ROLES[role] & VOTING] == ["reviewer"]


def test_an_auditor_takes_packs_and_observations_and_changes_nothing_but_their_own_sign_in():
    assert {p for p in ROLES["auditor"] if not p.endswith(".read")} == {
        Permission.PACK_CREATE,
        Permission.SELF_CHANGE,
        Permission.TOKEN_ISSUE,
        Permission.TOKEN_REVOKE,
        Permission.OBSERVATION_EXPORT,
    }


@pytest.mark.parametrize("role", ["admin", "engineer", "operator", "gateway"])
def test_a_snapshot_with_its_key_hashes_is_read_by_who_needs_it(role):
    assert Permission.SNAPSHOT_READ in ROLES[role]
    assert Permission.SNAPSHOT_READ not in ROLES["auditor"] | ROLES["reviewer"]


@pytest.mark.parametrize("role", EVERY_ROLE)
def test_a_role_that_exists_is_accepted(role):
    assert checked_role(role) == role


def test_a_role_that_does_not_exist_is_invalid_and_the_answer_names_those_that_do():
    with pytest.raises(Invalid, match="no role 'root'") as refused:
        checked_role("root")
    assert refused.value.remedy == f"The roles are {', '.join(EVERY_ROLE)}."


def test_scopes_exist_and_are_held_and_count_once():
    held = ROLES["auditor"]
    assert checked_scopes(None, held) is None
    assert checked_scopes([], held) == ()
    assert checked_scopes(["identity.self.read"] * 2, held) == ("identity.self.read",)
    with pytest.raises(Invalid, match=r"Unknown permissions: a\.b\.c"):
        checked_scopes(["a.b.c", "identity.self.read"], held)
    with pytest.raises(Invalid, match=r"You do not hold approvals\.request\.vote yourself"):
        checked_scopes(["approvals.request.vote"], held)
