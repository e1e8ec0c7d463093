"""Every word of the contracts' storage is what the events add up to: invariants 1, 2, 6, 12 and 13."""

from ledger.market.lease import Lease
from ledger.market.model import MarketModel
from ledger.market.resource import Quantities
from ledger.market.state import MarketState
from tests.fakes.in_process_market import NAMES, InProcessMarket, account, party

ACTIVE, CLAIMED, DISPUTED, UNDECIDED = 1, 2, 3, 128


def conservation(chain: InProcessMarket, state: MarketState, unsolicited: int) -> None:
    """1: what everybody has, open escrow, locks, bonds and what is burned is what the market holds."""
    assert state.held() == chain.token.balanceOf(chain.market.address) - unsolicited
    assert state.unpaid_fees == {}


def same_accounts(chain: InProcessMarket, state: MarketState) -> None:
    """12: balances, stakes, queues, epochs, keys."""
    market = chain.market
    for name in NAMES:
        owner, raw = account(name), party(name)
        assert market.balanceOf(owner) == state.balances.get(raw, 0)
        assert market.stakeOf(owner) == state.stakes.get(raw, 0)
        assert tuple(market.unstakingOf(owner)) == state.unstaking.get(raw, (0, 0))
        assert market.epochOf(owner) == state.epochs.get(raw, 0)
    for name in ("buyer", "other", "provider", "rival"):
        for key in ("laptop", "stranger"):
            held = state.delegations.get((party(name), party(key)))
            expected = (int(held.roles), held.allowance, held.until) if held else (0, 0, 0)
            assert tuple(market.delegateOf(account(name), account(key))) == expected
    assert market.guardian().lower() == "0x" + state.guardian.hex()
    assert (market.pausedUntil(), market.burned()) == (state.paused_until, state.burned)


def same_nonces(chain: InProcessMarket, state: MarketState, nonces: tuple[int, ...]) -> None:
    """12: each of these nonces is used on both sides, or on neither; in the window and in the bitmap."""
    for name in ("buyer", "other"):
        used = state.nonces.get(party(name), set())
        for nonce in nonces:
            assert chain.market.nonceUsed(account(name), nonce) == (nonce in used)


def same_offers(chain: InProcessMarket, state: MarketState) -> None:
    """6: used = the sum of what open leases want, and within the capacity, lane by lane."""
    for offer_id, offer in state.offers.items():
        used = chain.market.usedOf(offer_id)
        wants = [lease.terms.want for lease in state.leases.values() if lease.terms.offer == offer_id]
        assert used == sum(want.pack() for want in wants) == state.used[offer_id].pack()
        assert Quantities.unpack(used).within(offer.capacity)
        assert chain.market.offerFlags(offer_id) == 1 + 2 * (offer_id in state.cancelled)


def lease_word(lease: Lease) -> tuple[int, int, int, int, int]:
    """What `leaseOf` must say."""
    stage = ACTIVE if lease.claim is None else DISPUTED if lease.contested else CLAIMED
    return (
        lease.escrow,
        lease.paid,
        lease.start,
        lease.ended_after or 0,
        stage + UNDECIDED * lease.undecided,
    )


def same_leases(chain: InProcessMarket, state: MarketState) -> None:
    """2 and 12: open leases, their claims and results."""
    for lease_id, lease in state.leases.items():
        assert tuple(chain.market.leaseOf(lease_id)) == lease_word(lease)
        assert lease.paid <= lease.escrow
        claim = lease.claim
        expected = (claim.claimed, claim.provider_bond, claim.until) if claim else (0, 0, 0)
        assert tuple(chain.market.claimOf(lease_id)) == expected
        assert chain.jury.commitmentOf(lease_id) == state.commitments.get(lease_id, bytes(32))
        assert chain.jury.resultOf(lease_id) == state.results.get(lease_id, bytes(32))
    for bid, commits in state.commits.items():
        assert chain.jury.commitsOf(bid) == commits


def closed_left_nothing(chain: InProcessMarket, state: MarketState) -> None:
    """12: the words of a closed lease and of its claim are zero."""
    for lease_id in state.closed:
        assert tuple(chain.market.leaseOf(lease_id)) == (0, 0, 0, 0, 0)
        assert tuple(chain.market.claimOf(lease_id)) == (0, 0, 0)


def locks(model: MarketModel) -> None:
    """13: the locked stake is the sum of the open leases' locks, provider by provider."""
    state = model.state
    providers = {lease.terms.provider for lease in state.leases.values()}
    for provider in providers:
        mine = [lease for lease in state.leases.values() if lease.terms.provider == provider]
        assert state.locked(provider) == sum(model.policy.lock_for(lease.escrow) for lease in mine)
