from ledger.market.delegation import Delegation, Role
from ledger.market.identity import Address
from node.trading.delegates import REMEMBER_SECONDS, Delegates
from tests.factories import NOW, an_address

ACCOUNT, KEY = an_address("account"), an_address("key")


class OneDelegation:
    """A chain where one key has a role until a moment."""

    def __init__(self, roles: Role, until: int = NOW + 100) -> None:
        self.roles = roles
        self.until = until
        self.asked = 0

    def delegation_of(self, account: Address, key: Address) -> Delegation:
        self.asked += 1
        given = self.roles if (account, key) == (ACCOUNT, KEY) else Role(0)
        return Delegation(key=key, roles=given, allowance=0, until=self.until if given else 0)


def test_an_account_acts_for_itself_and_nobody_is_asked() -> None:
    chain = OneDelegation(Role(0))
    assert Delegates(chain).may(Role.SPEND, ACCOUNT, ACCOUNT, NOW)
    assert chain.asked == 0


def test_a_key_may_what_its_role_says_and_no_more() -> None:
    delegates = Delegates(OneDelegation(Role.SPEND))
    assert delegates.may(Role.SPEND, ACCOUNT, KEY, NOW)
    assert not delegates.may(Role.OPERATE, ACCOUNT, KEY, NOW)
    assert not delegates.may(Role.SPEND, ACCOUNT, an_address("stranger"), NOW)
    assert not delegates.may(Role.SPEND, an_address("another account"), KEY, NOW)


def test_a_key_ends_with_its_last_second_though_it_is_remembered() -> None:
    delegates = Delegates(OneDelegation(Role.SPEND, until=NOW + 1))
    assert delegates.may(Role.SPEND, ACCOUNT, KEY, NOW + 1)
    assert not delegates.may(Role.SPEND, ACCOUNT, KEY, NOW + 2)


def test_the_chain_is_asked_again_after_a_moment_and_a_revocation_counts() -> None:
    chain = OneDelegation(Role.SPEND)
    delegates = Delegates(chain)
    assert delegates.may(Role.SPEND, ACCOUNT, KEY, NOW)
    chain.roles = Role(0)
    assert delegates.may(Role.SPEND, ACCOUNT, KEY, NOW + REMEMBER_SECONDS - 1)
    assert chain.asked == 1
    assert not delegates.may(Role.SPEND, ACCOUNT, KEY, NOW + REMEMBER_SECONDS)


def test_a_clock_that_is_set_back_asks_again() -> None:
    chain = OneDelegation(Role.SPEND)
    delegates = Delegates(chain)
    delegates.may(Role.SPEND, ACCOUNT, KEY, NOW)
    delegates.may(Role.SPEND, ACCOUNT, KEY, NOW - 1)
    assert chain.asked == 2
