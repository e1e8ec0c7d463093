"""One served grid with the real contracts, three funded accounts, and the clock in the test's hand."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

from contracts.loader import artifact
from ledger.chain.calls import Call, approve, deposit, stake
from ledger.chain.client import MarketClient, MinedReceipt
from ledger.chain.embedded.chain import DEFAULT_FINALITY
from ledger.chain.embedded.genesis import Genesis
from ledger.chain.embedded.grid import GridPolicy, deploy_grid, initialise, open_chain
from ledger.chain.embedded.sealing import SealPolicy
from ledger.chain.embedded.server import ServePolicy, serve
from ledger.chain.keys import LocalKey
from ledger.chain.typed_data import bid_id, lease_id, offer_id, receipt_digest
from ledger.chain.wallet import Patience, send_and_wait
from ledger.market.bid import SignedBid
from ledger.market.identity import NO_DIGEST, Address, LeaseId
from ledger.market.instructions import (
    ContinueLease,
    GangMember,
    Instruction,
    OpenGang,
    OpenLease,
    RegisterOffer,
    SettleReceipt,
)
from ledger.market.lease import LeaseTerms
from ledger.market.money import rate_of
from ledger.market.receipt import SignedReceipt, UsageReceipt
from tests.factories import HOUR, NOW, a_bid, a_digest, an_offer

FAUCET = LocalKey(sha256(b"faucet").digest())
"""the grid's operator: it guards the market and decides its claims"""
NODE, PROVIDER, BUYER = (LocalKey(sha256(name).digest()) for name in (b"node", b"provider", b"buyer"))
MONEY = 100_000_000
_salts = count(1)


@dataclass
class Clock:
    """The chain's time; it runs only when told."""

    now: float = NOW

    def __call__(self) -> float:
        return self.now


@dataclass
class Grid:
    """One served grid that seals on demand, funded accounts, and how to act on it."""

    client: MarketClient
    clock: Clock
    identity: Genesis
    nonces: Iterator[int] = field(default_factory=lambda: count(1))

    def seal(self) -> None:
        self.client._rpc.raw("bingwang_seal")

    def reorg(self, depth: int) -> None:
        self.client._rpc.raw("bingwang_reorg", hex(depth))

    def patience(self) -> Patience:
        return sealing(self.seal)

    def send(self, key: LocalKey, call: Call) -> MinedReceipt:
        return send_and_wait(self.client, key, call, self.patience())

    def wish(self, key: LocalKey, *batch: Instruction) -> MinedReceipt:
        return self.send(key, self.client.call_of(*batch))

    def fund(self, key: LocalKey, *, staked: int = 0) -> None:
        """Coin from the faucet, and a balance of `MONEY`, of which `staked` goes to the free stake."""
        self.give(key)
        for call in putting_in(self.client, MONEY, staked):
            self.send(key, call)

    def give(self, key: LocalKey) -> None:
        """Coin and token in the wallet."""
        self.client.faucet(key.address)
        self.seal()

    def offer(self, **changes: Any) -> RegisterOffer:
        changes = {"provider": PROVIDER.address, "salt": next(_salts)} | changes
        return RegisterOffer(offer=an_offer(**changes))

    def bid(self, key: LocalKey | None = None, **changes: Any) -> SignedBid:
        """A fresh bid of the buyer's, signed by the buyer or by `key`."""
        own: dict[str, Any] = {"buyer": BUYER.address, "signer": BUYER.address, "matcher": NODE.address}
        own |= dict.fromkeys(("start_by", "valid_until", "open_after"), int(self.clock.now) + HOUR)
        bid = a_bid(**(own | {"nonce": next(self.nonces)} | changes))
        return SignedBid(bid=bid, signature=(key or BUYER).sign(bid_id(self.client.domain(), bid)))

    def open(self, registered: RegisterOffer, key: LocalKey | None = None, **changes: Any) -> OpenLease:
        """The wish to match a fresh bid of the buyer's with the offer at its ask."""
        domain, offer, signed = self.client.domain(), registered.offer, self.bid(key, **changes)
        rate = rate_of(offer.ask, signed.bid.want)
        return OpenLease(
            lease=lease_id(domain, terms_of(self, registered, signed, rate)),
            offer_id=offer_id(domain, offer),
            offer=offer,
            signed=signed,
            rate=rate,
        )

    def gang(self, offers: list[RegisterOffer], **changes: Any) -> OpenGang:
        """The wish to open one member on each of these offers."""
        domain, signed = self.client.domain(), self.bid(members=len(offers), **changes)
        members = []
        for number, registered in enumerate(offers):
            rate = rate_of(registered.offer.ask, signed.bid.want)
            members.append(
                GangMember(
                    lease=lease_id(domain, terms_of(self, registered, signed, rate, number)),
                    offer_id=offer_id(domain, registered.offer),
                    offer=registered.offer,
                    rate=rate,
                )
            )
        return OpenGang(
            bid=bid_id(domain, signed.bid), signed=signed, members=tuple(members), seed=a_digest("seed")
        )

    def gang_terms(self, gang: OpenGang) -> list[LeaseTerms]:
        return [
            terms_of(self, RegisterOffer(offer=member.offer), gang.signed, member.rate, number)
            for number, member in enumerate(gang.members)
        ]

    def next_of(self, wish: OpenLease, milliseconds: int, **changes: Any) -> ContinueLease:
        """The wish to continue an open lease, with its last receipt at `milliseconds`."""
        opening = self.open(RegisterOffer(offer=wish.offer), continues=wish.lease, **changes)
        return ContinueLease(
            lease=opening.lease,
            previous=self.terms(wish),
            receipt=self.receipt(wish, milliseconds, last=True).signed,
            offer_id=opening.offer_id,
            offer=opening.offer,
            signed=opening.signed,
            rate=opening.rate,
        )

    def terms(self, wish: OpenLease) -> LeaseTerms:
        return terms_of(self, RegisterOffer(offer=wish.offer), wish.signed, wish.rate)

    def receipt(self, wish: OpenLease, milliseconds: int, *, last: bool) -> SettleReceipt:
        return self.receipt_of(wish.lease, self.terms(wish), milliseconds, last=last)

    def receipt_of(
        self, lease: LeaseId, terms: LeaseTerms, milliseconds: int, *, last: bool
    ) -> SettleReceipt:
        receipt = UsageReceipt(lease=lease, milliseconds=milliseconds, evidence=NO_DIGEST, last=last)
        signature = BUYER.sign(receipt_digest(self.client.domain(), receipt))
        return SettleReceipt(terms=terms, signed=SignedReceipt(receipt=receipt, signature=signature))


def sealing(seal: Callable[[], Any]) -> Patience:
    """Seals a block instead of sleeping."""
    ticks = count()
    return Patience(clock=lambda: next(ticks) / 10, sleep=lambda _: seal(), seconds=5.0, pause=0.0)


def putting_in(client: MarketClient, amount: int, staked: int) -> Iterator[Call]:
    """The calls that make a balance of what the wallet holds, of which `staked` goes to the free stake."""
    yield approve(client.token(), client.market, 2**255)
    yield deposit(client.market, amount)
    if staked:
        yield stake(client.market, staked)


def terms_of(
    grid: Grid, registered: RegisterOffer, signed: SignedBid, rate: int, member: int = 0
) -> LeaseTerms:
    domain, bid = grid.client.domain(), signed.bid
    return LeaseTerms(
        offer=offer_id(domain, registered.offer),
        bid=bid_id(domain, bid),
        member=member,
        provider=registered.offer.provider,
        buyer=bid.buyer,
        signer=bid.signer,
        matcher=NODE.address,
        want=bid.want,
        rate=rate,
        duration=bid.duration,
    )


@contextmanager
def served_grid(directory: Path, finality: int = DEFAULT_FINALITY) -> Iterator[Grid]:
    """A new grid below `directory`: the buyer has a balance, the provider a stake, everybody coin."""
    clock = Clock()
    identity = initialise(
        directory,
        chain_id=424_242,
        at=NOW - 10,
        faucet_key=sha256(b"faucet").digest(),
        populate=lambda chain: deploy_grid(chain, artifact, GridPolicy()),
    )
    chain = open_chain(directory, clock, finality=finality)
    policy = ServePolicy(seal=SealPolicy(on_demand=True), allow_reorg=True)
    try:
        with serve(chain, policy=policy) as server:
            client = MarketClient(server.url, Address(identity.contracts["market"]))
            grid = Grid(client=client, clock=clock, identity=identity)
            client.faucet(NODE.address)
            grid.fund(BUYER)
            grid.fund(PROVIDER, staked=MONEY // 2)
            yield grid
            client.close()
    finally:
        chain.close()
