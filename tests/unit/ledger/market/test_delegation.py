"""What a second key may do, and until when."""

import pytest

from ledger.market.delegation import Role
from ledger.market.errors import Rejected
from tests.factories import NOW, a_delegation


def test_a_key_has_its_roles_until_its_last_second() -> None:
    spender = a_delegation(roles=Role.SPEND, until=NOW)
    assert spender.may(Role.SPEND, NOW)
    assert not spender.may(Role.SPEND, NOW + 1)
    assert not spender.may(Role.OPERATE, NOW)
    assert a_delegation(roles=Role.SPEND | Role.OPERATE).may(Role.OPERATE, NOW)


@pytest.mark.parametrize("changes", [{"key": b""}, {"allowance": 1 << 128}, {"until": 1 << 40}])
def test_a_delegation_fits_its_word(changes: dict[str, object]) -> None:
    with pytest.raises(Rejected):
        a_delegation(**changes)
