"""Why each figure can be repeated: what is measured, in which order, on a market made for it alone."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from eth_account.signers.local import LocalAccount

from ledger.chain.abi import JURY, TOKEN
from ledger.chain.calls import fill_words
from ledger.chain.keys import LocalKey
from ledger.chain.structs import bid_words, offer_words
from ledger.chain.typed_data import (
    TokenDomain,
    commitment,
    lease_id,
    permit_digest,
    withdrawal_digest,
)
from ledger.market.bid import AGREE_SHIFT, MAX_REPLICAS, REPLICAS
from ledger.market.identity import Digest
from ledger.market.lease import LeaseTerms
from ledger.market.money import rate_of
from ledger.market.offer import Offer
from ledger.market.policy import PUBLIC
from ledger.market.withdrawal import Withdrawal
from scripts.gas.evm import CHAIN_ID, address_of, key_of
from scripts.gas.market import HOUR, MONEY, PARTIES, USE, Market, Opened


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One call, or the calls of one job: gas and call data of all items together, and how many they are."""

    name: str
    gas: int
    calldata: int
    items: int = 1

    @property
    def each(self) -> float:
        return self.gas / self.items


def jobs(market: Market) -> Iterator[Case]:
    """Whole lives of jobs: matched, used for 70 % of the time, and closed by the last receipt."""
    one = market.offers[0]
    for items in (1, 8, PARTIES):
        yield from _life(market, f"one offer, N={items}", [(one, buyer) for buyer in market.buyers[:items]])
    pairs = list(zip(market.offers, market.buyers, strict=True))
    yield from _life(market, f"{PARTIES} offers, N={PARTIES}", pairs)
    yield from _life(market, f"one buyer, N={PARTIES - 8}", [(one, market.buyers[9])] * (PARTIES - 8))
    yield from _single(market)
    yield from _receipts(market)


def _life(market: Market, name: str, pairs: list[tuple[Offer, LocalAccount]]) -> Iterator[Case]:
    matched, leases = market.match(pairs)
    market.evm.at += HOUR
    closed = market.settle(leases, HOUR * USE, last=True)
    items = len(pairs)
    yield Case(name=f"match, {name}", gas=matched.gas, calldata=matched.calldata, items=items)
    yield Case(name=f"close, {name}", gas=closed.gas, calldata=closed.calldata, items=items)
    together = matched.calldata + closed.calldata
    yield Case(name=f"job, {name}", gas=matched.gas + closed.gas, calldata=together, items=items)


def _single(market: Market) -> Iterator[Case]:
    matched, lease = market.match_one(market.offers[1], market.buyers[1])
    market.evm.at += HOUR
    closed = market.call(market.node, "settle", market.receipt(lease, HOUR * USE, last=True))
    yield Case(name="matchBid", gas=matched.gas, calldata=matched.calldata)
    yield Case(name="settle, last receipt", gas=closed.gas, calldata=closed.calldata)
    together = matched.calldata + closed.calldata
    yield Case(name="job, single", gas=matched.gas + closed.gas, calldata=together)


def _receipts(market: Market) -> Iterator[Case]:
    _, leases = market.match([(market.offers[0], buyer) for buyer in market.buyers])
    market.evm.at += 60
    market.settle(leases, 60, last=False)
    market.evm.at += 60
    paid = market.settle(leases, 120, last=False)
    yield Case(name=f"interim receipt, N={PARTIES}", gas=paid.gas, calldata=paid.calldata, items=PARTIES)
    one = market.call(market.node, "settle", market.receipt(leases[0], 121, last=False))
    yield Case(name="settle, interim receipt", gas=one.gas, calldata=one.calldata)
    market.evm.at += HOUR
    market.settle(leases, HOUR, last=True)


def offers(market: Market) -> Iterator[Case]:
    """Registration and cancelling."""
    provider = market.providers[2]
    fresh = market.offer(provider)
    used = market.call(provider, "registerOffer", offer_words(fresh))
    yield Case(name="registerOffer", gas=used.gas, calldata=used.calldata)
    many = [offer_words(market.offer(provider)) for _ in range(PARTIES)]
    used = market.call(provider, "registerOffers", many)
    yield Case(name=f"registerOffers({PARTIES})", gas=used.gas, calldata=used.calldata, items=PARTIES)
    used = market.call(provider, "cancelOffer", offer_words(fresh))
    yield Case(name="cancelOffer", gas=used.gas, calldata=used.calldata)


def accounts(market: Market) -> Iterator[Case]:
    """Money, stake, keys and the guardian."""
    key, other = market.buyers[3], market.buyers[4]
    relay = market.node
    owner = address_of(key)
    calls: list[tuple[str, LocalAccount, str, tuple[object, ...]]] = [
        ("deposit", key, "deposit", (1_000,)),
        ("withdraw", key, "withdraw", (1_000,)),
        ("withdrawSigned", relay, "withdrawSigned", _withdrawal(market, key)),
        ("stake", key, "stake", (1_000,)),
        ("requestUnstake", key, "requestUnstake", (1_000,)),
        ("setDelegate", key, "setDelegate", (address_of(other), 3, MONEY, market.evm.at + HOUR)),
        ("setDelegate, revoked", key, "setDelegate", (address_of(other), 0, 0, 0)),
        ("cancelNonces", key, "cancelNonces", (1, 2**256 - 1)),
        ("bumpEpoch", key, "bumpEpoch", ()),
        ("pause", relay, "pause", ()),
        ("unpause", relay, "unpause", ()),
    ]
    for name, sender, function, arguments in calls:
        used = market.call(sender, function, *arguments)
        yield Case(name=name, gas=used.gas, calldata=used.calldata)
    market.evm.at += PUBLIC.unstake_delay
    used = market.call(relay, "finishUnstake", owner)
    yield Case(name="finishUnstake", gas=used.gas, calldata=used.calldata)
    used = market.call(relay, "depositWithPermit", *_permit(market, key_of("buyer 5")))
    yield Case(name="depositWithPermit", gas=used.gas, calldata=used.calldata)


def _withdrawal(market: Market, key: LocalAccount) -> tuple[object, ...]:
    owner = address_of(key)
    order = Withdrawal(account=owner, to=owner, amount=1_000, nonce=31, deadline=market.evm.at + HOUR)
    signature = LocalKey(bytes(key.key)).sign(withdrawal_digest(market.domain, order))
    item = (order.account, order.to, order.amount, order.nonce, order.deadline)
    return item, signature[:32], signature[32:]


def _permit(market: Market, key: LocalAccount) -> tuple[object, ...]:
    domain = TokenDomain(name="Test", version="1", chain_id=CHAIN_ID, token=market.token)
    owner, deadline = address_of(key), market.evm.at + HOUR
    digest = permit_digest(domain, owner, market.market, 1_000, 0, deadline)
    signature = LocalKey(bytes(key.key)).sign(digest)
    return owner, 1_000, deadline, signature[:32], signature[32:]


def endings(market: Market) -> Iterator[Case]:
    """The other ends of a lease, each of its own lease; then a full batch of no-shows."""
    market.offers = tuple(market.register(key) for key in market.providers)
    offer, provider = market.offers[6], market.providers[6]
    buyers = market.buyers
    yield from _of_lease(market, "release", provider, market.match_one(offer, buyers[6])[1])
    lease = market.match_one(offer, buyers[6])[1]
    yield from _of_lease(market, "terminate", buyers[6], lease)
    market.evm.at += PUBLIC.grace + HOUR
    yield from _of_lease(market, "close", market.node, lease)
    yield from _continued(market)
    pairs = list(zip(market.offers[:3] + market.offers[5:], buyers[:3] + buyers[5:], strict=True))
    pairs += [(market.offers[0], buyers[0]), (market.offers[1], buyers[1])]
    _, leases = market.match(pairs)
    market.evm.at += PUBLIC.grace + 2 * HOUR
    used = market.call(market.node, "closeMany", [market.terms(lease) for lease in leases])
    yield Case(name=f"closeMany({PARTIES}), no-shows", gas=used.gas, calldata=used.calldata, items=PARTIES)


def _of_lease(
    market: Market, name: str, key: LocalAccount, lease: Opened, *arguments: object, case: str = ""
) -> Iterator[Case]:
    used = market.call(key, name, market.terms(lease), *arguments)
    yield Case(name=case or name, gas=used.gas, calldata=used.calldata)


def _continued(market: Market) -> Iterator[Case]:
    offer, buyer = market.offers[7], market.buyers[7]
    _, lease = market.match_one(offer, buyer)
    market.evm.at += HOUR
    bid = replace(market.bid(buyer), continues=Digest(lease_id(market.domain, lease.terms)))
    fill = fill_words(market.signed(bid, buyer), rate_of(offer.ask, bid.want))
    receipt = market.receipt(lease, HOUR * USE, last=True)
    used = market.call(market.node, "continueLease", receipt, offer_words(offer), fill)
    yield Case(name="continueLease", gas=used.gas, calldata=used.calldata)


def claims(market: Market) -> Iterator[Case]:
    """Claimed and left alone; contested and decided; contested and left to silence."""
    offer, provider = market.offers[8], market.providers[8]
    buyer = market.buyers[8]
    leases = [market.match_one(offer, buyer)[1] for _ in range(3)]
    market.evm.at += HOUR
    claimed = 2 * PUBLIC.receipt_interval * 1000
    for number, lease in enumerate(leases):
        cases = list(_of_lease(market, "claim", provider, lease, claimed))
        yield from cases[: number == 0]
    for number, lease in enumerate(leases[1:]):
        cases = list(_of_lease(market, "contest", buyer, lease))
        yield from cases[: number == 0]
    paid = rate_of(offer.ask, leases[1].bid.want) * claimed // 3_600_000_000
    yield from _of_lease(market, "decide", market.node, leases[1], paid // 2, 1)
    market.evm.at += PUBLIC.arbitration_window
    yield from _of_lease(market, "finalize", market.node, leases[0], case="finalize, uncontested")
    yield from _of_lease(market, "finalize", market.node, leases[2], case="finalize, silence")


def gangs(market: Market) -> Iterator[Case]:
    """The largest gangs, and the largest set of replicas to its verdict."""
    buyer = market.buyers[10]
    used, leases = market.gang(market.replicas(buyer, PARTIES, 1), buyer, market.offers)
    yield Case(name=f"matchGang({PARTIES}), distinct", gas=used.gas, calldata=used.calldata, items=PARTIES)
    used, leases = market.gang(market.replicas(buyer, PARTIES, 0), buyer, [market.offers[0]] * PARTIES)
    yield Case(name=f"matchGang({PARTIES}), one offer", gas=used.gas, calldata=used.calldata, items=PARTIES)
    flags = REPLICAS | 8 << AGREE_SHIFT
    bid = market.replicas(buyer, MAX_REPLICAS, flags)
    used, leases = market.gang(bid, buyer, market.offers[:MAX_REPLICAS])
    yield Case(
        name=f"matchGang({MAX_REPLICAS}), replicas", gas=used.gas, calldata=used.calldata, items=MAX_REPLICAS
    )
    yield from _jury(market, [lease.terms for lease in leases], leases)


def _jury(market: Market, terms: list[LeaseTerms], leases: list[Opened]) -> Iterator[Case]:
    salt = Digest(bytes(range(3, 35)))
    results = [Digest(bytes([1]) * 32)] * 8 + [Digest(bytes([2]) * 32)] * (len(leases) - 8)
    for number, (lease, result) in enumerate(zip(leases, results, strict=True)):
        named = commitment(lease_id(market.domain, lease.terms), lease.terms.provider, result, salt)
        used = market.call(market.providers[number], "commit", market.terms(lease), named, on=JURY)
        if number == len(leases) - 1:
            yield Case(name="jury: commit", gas=used.gas, calldata=used.calldata)
    bid = bid_words(leases[0].bid)
    for number, (lease, result) in enumerate(zip(leases, results, strict=True)):
        arguments = (bid, market.terms(lease), result, salt)
        used = market.call(market.providers[number], "reveal", *arguments, on=JURY)
        if number == len(leases) - 1:
            yield Case(name="jury: reveal", gas=used.gas, calldata=used.calldata)
    words = [market.terms(lease) for lease in leases]
    used = market.call(market.node, "decide", bid, words, on=JURY)
    yield Case(
        name=f"jury: decide({len(leases)}), {len(leases) - 8} guilty",
        gas=used.gas,
        calldata=used.calldata,
        items=len(leases),
    )


def farewell(market: Market) -> Iterator[Case]:
    """What can be done once, and the token's own calls."""
    used = market.call(market.node, "renounceGuardian")
    yield Case(name="renounceGuardian", gas=used.gas, calldata=used.calldata)
    used = market.call(market.node, "transfer", address_of(market.buyers[0]), 1_000, on=TOKEN)
    yield Case(name="token: transfer", gas=used.gas, calldata=used.calldata)


def measure() -> list[Case]:
    """Every case, on one fresh market."""
    market = Market()
    parts = (jobs, offers, endings, claims, gangs, accounts, farewell)
    return [case for part in parts for case in part(market)]
