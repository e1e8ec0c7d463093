"""Why the bench speaks in offers and bids: one deployed market whose accounts are in steady use.

Steady use: nonces are counted up inside the account's window, balances and stakes are not zero, each offer
carries another lease already. Without it the first write to each slot would be measured, which a market
pays once and a job never again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import count

from eth_account.signers.local import LocalAccount

from contracts.loader import artifact
from ledger.chain.abi import JURY, MARKET, TOKEN, functions
from ledger.chain.calls import fill_words, settlement_words
from ledger.chain.constructor import market_constructor
from ledger.chain.keys import LocalKey
from ledger.chain.structs import bid_words, offer_words, terms_words
from ledger.chain.typed_data import Domain, bid_id, lease_id, offer_id, receipt_digest
from ledger.market.bid import Bid, SignedBid
from ledger.market.identity import Address, Digest
from ledger.market.lease import LeaseTerms
from ledger.market.money import rate_of
from ledger.market.offer import Offer
from ledger.market.policy import PUBLIC
from ledger.market.receipt import SignedReceipt, UsageReceipt
from ledger.market.resource import Quantities
from ledger.market.traits import ANY_REGION, ANY_VENDOR, REGIONS, VENDORS, Traits
from scripts.gas.evm import CHAIN_ID, Evm, Mined, address_of, key_of

PARTIES = 32
MONEY = 10**12
"""base units that each account holds, and the same as free stake"""
HOUR = 3_600
USE = 0.7
"""of the time of a lease that is used"""
_EVIDENCE = Digest(bytes(range(32)))
_TEXT = 2 * 32
"""bytes of a string in the constructor's arguments: length and one word"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A lease of the bench: who must sign its receipts is the node."""

    terms: LeaseTerms
    bid: Bid


@dataclass(slots=True)
class Market:
    """Token, jury and market; 32 providers with an offer each, 32 buyers, and the node."""

    evm: Evm = field(default_factory=Evm)
    salts: "count[int]" = field(default_factory=lambda: count(1))
    bids: dict[str, int] = field(default_factory=dict)
    token: Address = field(init=False)
    jury: Address = field(init=False)
    market: Address = field(init=False)
    domain: Domain = field(init=False)
    node: LocalAccount = field(default_factory=lambda: key_of("node"))
    buyers: tuple[LocalAccount, ...] = tuple(key_of(f"buyer {i}") for i in range(PARTIES))
    providers: tuple[LocalAccount, ...] = tuple(key_of(f"provider {i}") for i in range(PARTIES))
    offers: tuple[Offer, ...] = ()

    def __post_init__(self) -> None:
        self.evm.grant(self.node, *self.buyers, *self.providers)
        self._deploy()
        for key in (self.node, *self.buyers, *self.providers):
            self.fund(key)
        self.offers = tuple(self.register(key) for key in self.providers)
        warm = [(offer, buyer) for offer, buyer in zip(self.offers, self.buyers, strict=True)]
        self.match(warm)

    def _deploy(self) -> None:
        words = [(4 * 32).to_bytes(32, "big"), (4 * 32 + _TEXT).to_bytes(32, "big")]
        words += [(6).to_bytes(32, "big"), (10**18).to_bytes(32, "big")]
        texts = [len(text).to_bytes(32, "big") + text.ljust(32, b"\0") for text in (b"Test", b"TST")]
        arguments = b"".join(words + texts)
        self.token = self.evm.deploy(self.node, artifact(TOKEN).bytecode + arguments).created
        self.jury = self.evm.deploy(self.node, artifact(JURY).bytecode).created
        node = address_of(self.node)
        parties = market_constructor(self.token, node, node, self.jury, PUBLIC)
        self.market = self.evm.deploy(self.node, artifact(MARKET).bytecode + parties).created
        self.domain = Domain(chain_id=CHAIN_ID, market=self.market)

    def call(self, key: LocalAccount, name: str, *arguments: object, on: str = MARKET) -> Mined:
        """One transaction to a contract of the market."""
        to = {MARKET: self.market, JURY: self.jury, TOKEN: self.token}[on]
        return self.evm.send(key, to, functions(on)[name].call(*arguments))

    def fund(self, key: LocalAccount) -> None:
        """Tokens in the wallet, an approval for as much again, a balance and free stake."""
        owner = address_of(key)
        if key != self.node:
            self.call(self.node, "transfer", owner, 10 * MONEY, on=TOKEN)
        self.call(key, "approve", self.market, 2**256 - 1, on=TOKEN)
        self.call(key, "deposit", 2 * MONEY)
        self.call(key, "stake", MONEY)

    def offer(self, key: LocalAccount) -> Offer:
        """An offer of a machine with eight devices; not registered yet."""
        return Offer(
            provider=address_of(key),
            capacity=Quantities(cpu=64_000, memory=262_144, disk=1_048_576, gpu=8_000, gpu_memory=655_360),
            ask=Quantities(cpu=20_000, memory=3_000, disk=10, gpu=900_000),
            traits=Traits(
                vendors=1 << VENDORS["nvidia"], regions=1 << REGIONS["eu-west"], features=0b1011, capability=7
            ),
            min_seconds=60,
            max_seconds=24 * HOUR,
            valid_until=self.evm.at + 30 * 24 * HOUR,
            epoch=0,
            salt=next(self.salts),
            document=Digest(bytes(range(1, 33))),
        )

    def register(self, key: LocalAccount) -> Offer:
        offer = self.offer(key)
        self.call(key, "registerOffer", offer_words(offer))
        return offer

    def bid(self, buyer: LocalAccount) -> Bid:
        """A bid for an hour, its nonce counted up; the node matches it and signs its receipts."""
        nonce = self.bids.get(str(buyer.address), 0)
        self.bids[str(buyer.address)] = nonce + 1
        return Bid(
            buyer=address_of(buyer),
            signer=address_of(self.node),
            want=Quantities(cpu=1_000, memory=1_024, disk=1_024),
            traits=Traits(vendors=ANY_VENDOR, regions=ANY_REGION, features=0b0011),
            limit_rate=30_000_000,
            max_over_ask_bps=100,
            duration=HOUR,
            start_by=self.evm.at + HOUR,
            valid_until=self.evm.at + HOUR,
            open_after=self.evm.at + HOUR // 2,
            epoch=0,
            nonce=nonce,
            job=Digest(bytes(range(2, 34))),
            matcher=address_of(self.node),
        )

    def signed(self, bid: Bid, key: LocalAccount) -> SignedBid:
        return SignedBid(bid=bid, signature=LocalKey(bytes(key.key)).sign(bid_id(self.domain, bid)))

    def opened(self, offer: Offer, bid: Bid, member: int = 0) -> Opened:
        """The lease that the node's match of the bid on the offer opens, at the ask."""
        terms = LeaseTerms(
            offer=offer_id(self.domain, offer),
            bid=bid_id(self.domain, bid),
            member=member,
            provider=offer.provider,
            buyer=bid.buyer,
            signer=bid.signer,
            matcher=address_of(self.node),
            want=bid.want,
            rate=rate_of(offer.ask, bid.want),
            duration=bid.duration,
        )
        return Opened(terms=terms, bid=bid)

    def match(self, pairs: Sequence[tuple[Offer, LocalAccount]]) -> tuple[Mined, list[Opened]]:
        """All pairs in one `matchBids`; each must open."""
        offers = list({id(offer): offer for offer, _ in pairs}.values())
        signed = [self.signed(self.bid(buyer), buyer) for _, buyer in pairs]
        fills = [
            fill_words(bid, rate_of(offer.ask, bid.bid.want), offers.index(offer))
            for bid, (offer, _) in zip(signed, pairs, strict=True)
        ]
        mined = self.call(self.node, "matchBids", [offer_words(o) for o in offers], fills, bytes(range(32)))
        assert int.from_bytes(mined.data[-1][-64:-32], "big") == len(pairs), "a bid was skipped"
        return mined, [self.opened(o, bid.bid) for bid, (o, _) in zip(signed, pairs, strict=True)]

    def match_one(self, offer: Offer, buyer: LocalAccount) -> tuple[Mined, Opened]:
        """By the single path."""
        signed = self.signed(self.bid(buyer), buyer)
        fill = fill_words(signed, rate_of(offer.ask, signed.bid.want))
        mined = self.call(self.node, "matchBid", offer_words(offer), fill)
        assert len(mined.indexed[-1]) == 3, "the bid was skipped"
        return mined, self.opened(offer, signed.bid)

    def receipt(self, lease: Opened, seconds: float, *, last: bool) -> tuple[object, ...]:
        """The words of a receipt that the node signed."""
        one = lease_id(self.domain, lease.terms)
        receipt = UsageReceipt(lease=one, milliseconds=int(seconds * 1000), evidence=_EVIDENCE, last=last)
        signature = LocalKey(bytes(self.node.key)).sign(receipt_digest(self.domain, receipt))
        return settlement_words(lease.terms, SignedReceipt(receipt=receipt, signature=signature))

    def settle(self, leases: Sequence[Opened], seconds: float, *, last: bool) -> Mined:
        """All receipts in one `settleMany`; each must pay."""
        items = [self.receipt(lease, seconds, last=last) for lease in leases]
        mined = self.call(self.node, "settleMany", items)
        paid = sum(len(topics) == 3 for topics in mined.indexed)
        assert paid == len(leases) * (1 + last), [data.hex() for data in mined.data]
        return mined

    def terms(self, lease: Opened) -> tuple[object, ...]:
        return terms_words(lease.terms)

    def replicas(self, buyer: LocalAccount, members: int, flags: int) -> Bid:
        """A bid of several members."""
        return replace(self.bid(buyer), members=members, flags=flags)

    def gang(self, bid: Bid, buyer: LocalAccount, offers: Sequence[Offer]) -> tuple[Mined, list[Opened]]:
        """One member on each of the offers, in one `matchGang`; it must open."""
        signed = self.signed(bid, buyer)
        members = [(index, rate_of(offer.ask, bid.want)) for index, offer in enumerate(offers)]
        halves = signed.signature[:32], signed.signature[32:]
        words = [offer_words(offer) for offer in offers]
        mined = self.call(self.node, "matchGang", words, members, bid_words(bid), *halves, bytes(range(32)))
        assert len(mined.topics) >= len(offers), "the gang was skipped"
        return mined, [self.opened(offer, bid, member) for member, offer in enumerate(offers)]
