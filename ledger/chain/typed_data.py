"""Why a digest here equals the contract's: every signed type is encoded word by word, in one place.

EIP-712 over the types of PROTOCOL "Typed data". All members are static, so a struct's encoding is its
type hash followed by one 32-byte word a member; the same words make the lease id. Sources: EIP-712 and
the contract's `signatures` module; tests compare both with eth-account.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from eth_hash.auto import keccak as _keccak256

from ledger.chain.documents import document_hash
from ledger.chain.structs import bid_words, offer_words, terms_words
from ledger.market.bid import Bid
from ledger.market.facts import OutputFile
from ledger.market.identity import Address, BidId, Digest, LeaseId, OfferId
from ledger.market.lease import LeaseTerms
from ledger.market.offer import Offer
from ledger.market.ranges import exact_bytes, unsigned
from ledger.market.receipt import UsageReceipt
from ledger.market.traits import canonical_model
from ledger.market.withdrawal import Withdrawal

NAME = "ComputeMarket"
VERSION = "1"


def keccak(data: bytes) -> bytes:
    """keccak-256, 32 bytes (the Ethereum padding, not SHA3-256's)."""
    return bytes(_keccak256(data))


DOMAIN = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
OFFER = (
    "Offer(address provider,uint256 capacity,uint256 ask,uint256 traits,uint32 minSeconds,"
    "uint32 maxSeconds,uint40 validUntil,uint64 epoch,uint64 salt,bytes32 document)"
)
BID = (
    "Bid(address buyer,address signer,uint256 want,uint256 traits,uint96 limitRate,"
    "uint16 maxOverAskBps,uint32 duration,uint40 startBy,uint40 validUntil,uint40 openAfter,"
    "uint8 members,uint8 flags,uint64 epoch,uint64 nonce,bytes32 job,address provider,"
    "address matcher,bytes32 continues)"
)
RECEIPT = "UsageReceipt(bytes32 lease,uint64 milliseconds,bytes32 evidence,bool last)"
WITHDRAW = "Withdraw(address account,address to,uint256 amount,uint64 nonce,uint40 deadline)"
PERMIT = "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
SESSION = "Session(address account,address key,uint40 until)"
REQUEST = "Request(string method,string target,bytes32 bodyHash,uint256 nonce,uint40 deadline)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """Where a signature counts: one market on one chain."""

    chain_id: int
    market: Address

    def __post_init__(self) -> None:
        unsigned("chain_id", self.chain_id, 256)
        exact_bytes("market", self.market, 20)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenDomain:
    """Where a permit counts: one ERC-20 on one chain, as its `eip712Domain` (EIP-5267) says."""

    name: str
    version: str
    chain_id: int
    token: Address

    def __post_init__(self) -> None:
        unsigned("chain_id", self.chain_id, 256)
        exact_bytes("token", self.token, 20)


def words(*values: int | bytes) -> bytes:
    """`abi.encode` of static values: integers and addresses padded left; 32 bytes stay as they are."""
    return b"".join(v.rjust(32, b"\0") if isinstance(v, bytes) else v.to_bytes(32, "big") for v in values)


def domain_values(domain: Domain | TokenDomain) -> tuple[str, str, int, Address]:
    """Name, version, chain id and contract: the members of `DOMAIN`, in its order."""
    if isinstance(domain, Domain):
        return NAME, VERSION, domain.chain_id, domain.market
    return domain.name, domain.version, domain.chain_id, domain.token


@lru_cache(maxsize=64)
def separator(domain: Domain | TokenDomain) -> bytes:
    """The EIP-712 domain separator, equal to the contract's `DOMAIN_SEPARATOR()`."""
    return _struct_hash(DOMAIN, domain_values(domain))


def _struct_hash(encoded: str, values: Iterable[int | bytes | str]) -> bytes:
    members = (keccak(v.encode()) if isinstance(v, str) else v for v in values)
    return keccak(words(_type_hash(encoded), *members))


@lru_cache(maxsize=64)
def _type_hash(encoded: str) -> bytes:
    return keccak(encoded.encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class TypedMessage:
    """EIP-712 data in full: what a signer is shown, where a digest alone would be signed blindly.

    `type` is the struct's encoded type, `values` its members in that order: texts as they are.
    """

    domain: Domain | TokenDomain
    type: str
    values: tuple[int | bytes | str, ...]

    @property
    def digest(self) -> Digest:
        """The 32 bytes that are signed."""
        struct = _struct_hash(self.type, self.values)
        return Digest(keccak(b"\x19\x01" + separator(self.domain) + struct))


def offer_id(domain: Domain, offer: Offer) -> OfferId:
    """The digest under which the contract registers an offer."""
    return OfferId(TypedMessage(domain=domain, type=OFFER, values=offer_words(offer)).digest)


def bid_id(domain: Domain, bid: Bid) -> BidId:
    """The digest of `bid_message`."""
    return BidId(bid_message(domain, bid).digest)


def bid_message(domain: Domain, bid: Bid) -> TypedMessage:
    """What a bid's buyer signs."""
    return TypedMessage(domain=domain, type=BID, values=bid_words(bid))


def receipt_message(domain: Domain, receipt: UsageReceipt) -> TypedMessage:
    """What a lease's signer signs to agree to cumulative usage."""
    values = (receipt.lease, receipt.milliseconds, receipt.evidence, int(receipt.last))
    return TypedMessage(domain=domain, type=RECEIPT, values=values)


def receipt_digest(domain: Domain, receipt: UsageReceipt) -> Digest:
    """The digest of `receipt_message`."""
    return receipt_message(domain, receipt).digest


def withdrawal_message(domain: Domain, withdrawal: Withdrawal) -> TypedMessage:
    """What an account signs so that anybody may deliver its withdrawal."""
    w = withdrawal
    return TypedMessage(domain=domain, type=WITHDRAW, values=(w.account, w.to, w.amount, w.nonce, w.deadline))


def withdrawal_digest(domain: Domain, withdrawal: Withdrawal) -> Digest:
    """The digest of `withdrawal_message`."""
    return withdrawal_message(domain, withdrawal).digest


def permit_message(
    domain: TokenDomain, owner: Address, spender: Address, value: int, nonce: int, deadline: int
) -> TypedMessage:
    """What an owner signs so that `spender` may take `value` base units of the token (ERC-2612); `nonce`
    is the token's count of the owner's permits, `deadline` seconds since 1970."""
    return TypedMessage(domain=domain, type=PERMIT, values=(owner, spender, value, nonce, deadline))


def permit_digest(
    domain: TokenDomain, owner: Address, spender: Address, value: int, nonce: int, deadline: int
) -> Digest:
    """The digest of `permit_message`."""
    return permit_message(domain, owner, spender, value, nonce, deadline).digest


def commitment(lease: LeaseId, provider: Address, result: Digest, salt: Digest) -> Digest:
    """What a replica's provider commits to before anybody's result is known."""
    return Digest(keccak(words(lease, provider, result, salt)))


def result_hash(exit_code: int, outputs: Iterable[OutputFile]) -> Digest:
    """What a replica reveals: the exit code and the content of each output, whatever their order."""
    ordered = sorted(outputs, key=lambda output: output.path)
    files = [{"path": output.path, "sha256": output.sha256} for output in ordered]
    return document_hash({"exit_code": exit_code, "outputs": files})


def lease_id(domain: Domain, terms: LeaseTerms) -> LeaseId:
    """The lease's name (PROTOCOL "Lease id"): a plain hash with the separator inside, not a digest."""
    encoded = words(separator(domain), *terms_words(terms))
    return LeaseId(keccak(encoded))


def request_message(
    domain: Domain, method: str, target: str, body_hash: bytes, nonce: int, deadline: int
) -> TypedMessage:
    """What signs an HTTP request to a node; `deadline` is seconds since 1970, `target` path and query."""
    exact_bytes("body_hash", body_hash, 32)
    unsigned("nonce", nonce, 256)
    unsigned("deadline", deadline, 40)
    return TypedMessage(domain=domain, type=REQUEST, values=(method, target, body_hash, nonce, deadline))


def request_digest(
    domain: Domain, method: str, target: str, body_hash: bytes, nonce: int, deadline: int
) -> Digest:
    """The digest of `request_message`."""
    return request_message(domain, method, target, body_hash, nonce, deadline).digest


def session_message(domain: Domain | TokenDomain, account: Address, key: Address, until: int) -> TypedMessage:
    """What an account signs so that `key` may sign its requests to nodes, and nothing else, up to `until`
    (seconds since 1970)."""
    return TypedMessage(domain=domain, type=SESSION, values=(account, key, until))


def model_tag(name: str) -> int:
    """The traits' 32-bit tag of a device model: keccak's first 4 bytes of the name in lower case with
    single spaces, 0 for no name."""
    canonical = canonical_model(name)
    return int.from_bytes(keccak(canonical.encode())[:4], "big") if canonical else 0
