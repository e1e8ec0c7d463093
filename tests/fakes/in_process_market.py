"""The real contract, from its committed artifact, on an in-process EVM; parties with fixed keys.

No double: what is fake here is only the chain around it. Digests, lease ids and signatures are made with
eth-account and eth-abi, not with the contract and not with `ledger.chain`, so that they are an
independent second opinion on both.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Any

import boa
from boa.contracts.abi.abi_contract import ABIContract, ABIContractFactory
from eth_abi.abi import encode
from eth_account import Account
from eth_account.messages import SignableMessage, _hash_eip191_message, encode_typed_data
from eth_account.signers.local import LocalAccount
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from contracts.loader import artifact
from ledger.market import events as facts
from ledger.market.bid import Bid
from ledger.market.identity import Address, BidId, Digest, LeaseId, OfferId
from ledger.market.lease import ClosedBecause, LeaseTerms
from ledger.market.offer import Offer
from ledger.market.policy import EMBEDDED
from ledger.market.reasons import SkipReason
from ledger.market.receipt import UsageReceipt
from ledger.market.resource import Quantities
from ledger.market.traits import ANY_REGION, ANY_VENDOR, Traits

NOW = 1_800_000_000
SUPPLY = 10**15
PURSE = 10**9
"""what each party has of the token, and the parties that buy have deposited"""
NAMES = ("provider", "rival", "buyer", "other", "signer", "matcher", "stranger")
KEYS: dict[str, LocalAccount] = {name: Account.from_key(keccak(text=f"key of the {name}")) for name in NAMES}

TYPES = {
    "Offer": "address provider,uint256 capacity,uint256 ask,uint256 traits,uint32 minSeconds,"
    "uint32 maxSeconds,uint40 validUntil,uint64 epoch,uint64 salt,bytes32 document",
    "Bid": "address buyer,address signer,uint256 want,uint256 traits,uint96 limitRate,"
    "uint16 maxOverAskBps,uint32 duration,uint40 startBy,uint40 validUntil,uint40 openAfter,"
    "uint8 members,uint8 flags,uint64 epoch,uint64 nonce,bytes32 job,address provider,"
    "address matcher,bytes32 continues",
    "UsageReceipt": "bytes32 lease,uint64 milliseconds,bytes32 evidence,bool last",
}
Decoded = Any
"""a named tuple that the EVM's library makes of a log, with the event's name and fields"""
TERMS = ["bytes32", "bytes32", "uint256", *["address"] * 4, *["uint256"] * 3]
BECAUSE = {1: "last-receipt", 2: "released", 3: "expired"}


def key(name: str) -> LocalAccount:
    return KEYS[name]


def party(name: str) -> Address:
    return Address(bytes.fromhex(KEYS[name].address[2:]))


def account(name: str) -> str:
    return str(KEYS[name].address)


def an_offer(**changes: object) -> Offer:
    """One CPU provider of 8 cores and 4 GiB, valid for a day, at 1 base unit a core-hour's thousandth."""
    fields: dict[str, Any] = {
        "provider": party("provider"),
        "capacity": Quantities(cpu=8_000, memory=4_096, disk=10_000),
        "ask": Quantities(cpu=500_000, memory=100_000),
        "traits": Traits(vendors=1, regions=1, features=0b11, gpu_memory_mib=80, capability=5),
        "min_seconds": 10,
        "max_seconds": 36_000,
        "valid_until": NOW + 86_400,
        "epoch": 0,
        "salt": 1,
        "document": Digest(keccak(text="offer document")),
    }
    fields.update(changes)
    return Offer(**fields)


def a_bid(**changes: object) -> Bid:
    """Two cores and 1 GiB for an hour from whoever serves, matched by the matcher."""
    fields: dict[str, Any] = {
        "buyer": party("buyer"),
        "signer": party("signer"),
        "want": Quantities(cpu=2_000, memory=1_024),
        "traits": Traits(vendors=ANY_VENDOR, regions=ANY_REGION),
        "limit_rate": 2_000_000_000,
        "max_over_ask_bps": 500,
        "duration": 3_600,
        "start_by": NOW + 600,
        "valid_until": NOW + 600,
        "open_after": NOW + 300,
        "epoch": 0,
        "nonce": 1,
        "job": Digest(keccak(text="job document")),
        "matcher": party("matcher"),
    }
    fields.update(changes)
    return Bid(**fields)


def words_of(value: Offer | Bid | LeaseTerms) -> list[Any]:
    """The struct as the ABI wants it: fields in order, quantities and traits packed."""
    return [_word(getattr(value, name)) for name in value.__slots__]


def _word(field: object) -> object:
    if isinstance(field, Quantities | Traits):
        return field.pack()
    if isinstance(field, bytes) and len(field) == 20:
        return to_checksum_address(field)
    return field


def split(signature: bytes) -> list[bytes]:
    return [signature[:32], signature[32:]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A bid, the rate to match it at and who signed it; `words` may be spoiled before the call."""

    bid: Bid
    rate: int
    signed_by: str = "buyer"
    offer_index: int = 0


class InProcessMarket:
    """Token and market, freshly deployed; every party holds tokens and approved the market."""

    def __init__(self, token: ABIContract | None = None) -> None:
        boa.env.timestamp = NOW
        self.deployer = boa.env.generate_address()
        self.token = token or deploy(
            "TestToken",
            encode(["string", "string", "uint8", "uint256"], ["Test", "TST", 6, SUPPLY]),
            self.deployer,
        )
        policy = [str(self.token.address), EMBEDDED.receipt_interval, EMBEDDED.grace]
        arguments = encode(["address", "uint256", "uint256"], policy)
        self.market = deploy("ComputeMarket", arguments, self.deployer)
        self.domain = {
            "name": "ComputeMarket",
            "version": "1",
            "chainId": boa.env.evm.patch.chain_id,
            "verifyingContract": str(self.market.address),
        }
        self.separator = separator_of(self.domain)

    def fund(self, deposits: Sequence[str] = ("buyer", "other")) -> None:
        """Give every party a purse and an approval; the named ones deposit it whole."""
        for name in NAMES:
            self.token.transfer(account(name), PURSE, sender=self.deployer)
            self.token.approve(self.market.address, 2**256 - 1, sender=account(name))
        for name in deposits:
            self.market.deposit(PURSE, sender=account(name))

    @property
    def at(self) -> int:
        return int(boa.env.timestamp)

    def advance(self, seconds: int) -> None:
        boa.env.timestamp += seconds

    def call(self, function: str, *arguments: object, sender: str) -> list[facts.MarketEvent]:
        """Send one transaction; what the market logged. A revert is `boa.BoaError`."""
        getattr(self.market, function)(*arguments, sender=account(sender))
        logs = self.market.get_logs(strict=False)
        return [fact_of(log) for log in logs if getattr(log, "address", None) == self.market.address]

    def message(self, kind: str, words: Sequence[Any]) -> SignableMessage:
        """The EIP-712 message that eth-account makes of a struct's words."""
        members = [field.split() for field in TYPES[kind].split(",")]
        types = {kind: [{"type": t, "name": n} for t, n in members]}
        values = dict(zip([n for _, n in members], words, strict=True))
        return encode_typed_data(self.domain, types, values)

    def digest(self, kind: str, words: Sequence[Any]) -> bytes:
        return bytes(_hash_eip191_message(self.message(kind, words)))

    def offer_id(self, offer: Offer) -> OfferId:
        return OfferId(self.digest("Offer", words_of(offer)))

    def bid_id(self, bid: Bid) -> BidId:
        return BidId(self.digest("Bid", words_of(bid)))

    def lease_id(self, terms: LeaseTerms) -> LeaseId:
        return LeaseId(keccak(encode(["bytes32", *TERMS], [self.separator, *words_of(terms)])))

    def sign(self, kind: str, words: Sequence[Any], name: str) -> bytes:
        """A 64-byte signature (EIP-2098)."""
        signed = key(name).sign_message(self.message(kind, words))
        vs = signed.s | (signed.v - 27) << 255
        return signed.r.to_bytes(32, "big") + vs.to_bytes(32, "big")

    def fill_words(self, order: Order) -> list[Any]:
        bid = words_of(order.bid)
        return [order.offer_index, order.rate, bid, *split(self.sign("Bid", bid, order.signed_by))]

    def settlement_words(
        self, terms: LeaseTerms, receipt: UsageReceipt, signed_by: str = "signer"
    ) -> list[Any]:
        words = list(astuple(receipt))
        signature = self.sign("UsageReceipt", words, signed_by)
        _, milliseconds, evidence, last = words
        return [words_of(terms), milliseconds, evidence, int(last), *split(signature)]


def separator_of(domain: dict[str, Any]) -> bytes:
    members = "string name,string version,uint256 chainId,address verifyingContract"
    hashes = [f"EIP712Domain({members})", domain["name"], domain["version"]]
    return keccak(
        encode(
            ["bytes32", "bytes32", "bytes32", "uint256", "address"],
            [*map(_text_hash, hashes), domain["chainId"], domain["verifyingContract"]],
        )
    )


def _text_hash(text: str) -> bytes:
    return keccak(text=text)


def deploy(name: str, arguments: bytes, deployer: str) -> ABIContract:
    """The committed artifact, not a fresh compilation, is what runs."""
    built = artifact(name)
    address, _ = boa.env.deploy_code(sender=deployer, bytecode=built.bytecode + arguments)
    return ABIContractFactory.from_abi_dict(built.abi, name).at(address)


def _raw(value: object) -> Address:
    return Address(bytes.fromhex(str(value)[2:]))


def fact_of(log: Decoded) -> facts.MarketEvent:
    """The kernel's event for one decoded log."""
    name = type(log).__name__
    party_fields = {
        n: _raw(getattr(log, n))
        for n in ("account", "buyer", "provider", "matcher", "signer")
        if n in log._fields
    }
    match name:
        case "OfferRegistered":
            return facts.OfferRegistered(id=OfferId(log.offer), offer=_offer(log))
        case "OfferCancelled":
            return facts.OfferCancelled(id=OfferId(log.offer), provider=_raw(log.provider))
        case "LeaseOpened":
            return _opened(log)
        case "BidSkipped":
            return facts.BidSkipped(bid=BidId(log.bid), reason=SkipReason(log.reason))
        case "ReceiptSkipped":
            return facts.ReceiptSkipped(lease=LeaseId(log.lease), reason=SkipReason(log.reason))
        case "LeaseTerminated":
            return facts.LeaseTerminated(
                lease=log.lease,
                buyer=_raw(log.buyer),
                provider=_raw(log.provider),
                ended_after=log.endOffset,
            )
        case "LeaseClosed":
            return facts.LeaseClosed(
                lease=log.lease,
                buyer=_raw(log.buyer),
                provider=_raw(log.provider),
                paid=log.paid,
                refunded=log.refunded,
                because=ClosedBecause(BECAUSE[log.reason]),
            )
        case _:
            plain = {n: v for n, v in log._asdict().items() if n != "address"}
            event: facts.MarketEvent = getattr(facts, name)(**{**plain, **party_fields})
            return event


def _offer(log: Decoded) -> Offer:
    return Offer(
        provider=_raw(log.provider),
        capacity=Quantities.unpack(log.capacity),
        ask=Quantities.unpack(log.ask),
        traits=Traits.unpack(log.traits),
        min_seconds=log.minSeconds,
        max_seconds=log.maxSeconds,
        valid_until=log.validUntil,
        epoch=log.epoch,
        salt=log.salt,
        document=log.document,
    )


def _opened(log: Decoded) -> facts.LeaseOpened:
    terms = LeaseTerms(
        offer=log.offer,
        bid=log.bid,
        member=log.member,
        provider=_raw(log.provider),
        buyer=_raw(log.buyer),
        signer=_raw(log.signer),
        matcher=_raw(log.matcher),
        want=Quantities.unpack(log.want),
        rate=log.rate,
        duration=log.duration,
    )
    return facts.LeaseOpened(
        id=LeaseId(log.lease),
        terms=terms,
        start=log.start,
        escrow=log.escrow,
        nonce=log.nonce,
        job=log.job,
    )
