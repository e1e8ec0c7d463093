"""Domains: deny wins, an empty allow list allows all."""

import pytest
from hypothesis import given

from ledger.market.domains import Preference, check_domain, check_pattern, permits, preferred
from ledger.market.errors import Rejected
from tests import strategies as some


@pytest.mark.parametrize("domain", ["lab/berlin", "a/b", "tsinghua.edu/beijing-2"])
def test_a_domain_is_group_and_location(domain: str) -> None:
    assert check_domain(domain) == domain


@pytest.mark.parametrize("domain", ["", "lab", "Lab/berlin", "lab/", "/berlin", "a/b/c", "lab/*", "a/b\n"])
def test_anything_else_is_no_domain(domain: str) -> None:
    with pytest.raises(Rejected, match="group/location"):
        check_domain(domain)


@pytest.mark.parametrize("pattern", ["*", "lab/*", "lab*", "lab/berlin"])
def test_a_pattern_is_a_domain_or_a_beginning(pattern: str) -> None:
    assert check_pattern(pattern) == pattern


@pytest.mark.parametrize("pattern", ["", "*lab", "la*b", "**", "LAB/*", "lab/*\n"])
def test_anything_else_is_no_pattern(pattern: str) -> None:
    with pytest.raises(Rejected):
        check_pattern(pattern)


def test_lists_allow_by_pattern_and_deny_by_pattern() -> None:
    assert permits("lab/berlin", (), ())
    assert permits("lab/berlin", ("club/*", "lab/*"), ())
    assert not permits("lab/berlin", ("club/*",), ())
    assert not permits("lab/berlin", (), ("lab/*",))
    assert not permits("lab/berlin", ("lab",), ())
    assert permits("lab/berlin", ("*",), ("lab/paris",))


@given(domain=some.domains, allow=some.patterns, deny=some.patterns)
def test_a_denial_wins_over_every_allowance(domain: str, allow: str, deny: str) -> None:
    assert not permits(domain, (allow, domain), (deny, domain))
    assert not permits(domain, (allow, "*"), ("*",))
    assert permits(domain, (allow, domain), ())


def test_the_largest_bonus_of_those_that_name_a_domain_counts() -> None:
    prefer = (Preference(pattern="lab/*", bonus=250), Preference(pattern="lab/berlin", bonus=1_000))
    assert [preferred(domain, prefer) for domain in ("lab/berlin", "lab/paris", "club/x")] == [1_000, 250, 0]


@pytest.mark.parametrize(("pattern", "bonus"), [("LAB", 1), ("lab/*", 0), ("lab/*", 10_001), ("lab/*", -1)])
def test_a_preference_names_a_pattern_and_basis_points(pattern: str, bonus: int) -> None:
    with pytest.raises(Rejected):
        Preference(pattern=pattern, bonus=bonus)
