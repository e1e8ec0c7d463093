# pragma version 0.4.3
"""
@title EIP-712 typed data and EIP-2098 signatures
@notice The type strings carry the narrow types; the values are full words, which encode the same.
"""

from . import types

NAME: constant(String[13]) = "ComputeMarket"
VERSION: constant(String[1]) = "1"

DOMAIN_TYPE: constant(bytes32) = keccak256(
    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
OFFER_TYPE: constant(bytes32) = keccak256(
    "Offer(address provider,uint256 capacity,uint256 ask,uint256 traits,uint32 minSeconds,"
    "uint32 maxSeconds,uint40 validUntil,uint64 epoch,uint64 salt,bytes32 document)"
)
BID_TYPE: constant(bytes32) = keccak256(
    "Bid(address buyer,address signer,uint256 want,uint256 traits,uint96 limitRate,"
    "uint16 maxOverAskBps,uint32 duration,uint40 startBy,uint40 validUntil,uint40 openAfter,"
    "uint8 members,uint8 flags,uint64 epoch,uint64 nonce,bytes32 job,address provider,"
    "address matcher,bytes32 continues)"
)
RECEIPT_TYPE: constant(bytes32) = keccak256(
    "UsageReceipt(bytes32 lease,uint64 milliseconds,bytes32 evidence,bool last)"
)

WITHDRAWAL_TYPE: constant(bytes32) = keccak256(
    "Withdraw(address account,address to,uint256 amount,uint64 nonce,uint40 deadline)"
)

LOW_255: constant(uint256) = 2**255 - 1
# Half of secp256k1's order; a 64-digit hex literal would be bytes32.
HALF_ORDER: constant(uint256) = (
    57896044618658097711785492504343953926418782139537452191302581570759080747168
)

_chain_id: immutable(uint256)
_separator: immutable(bytes32)


@deploy
def __init__():
    _chain_id = chain.id
    _separator = keccak256(
        abi_encode(DOMAIN_TYPE, keccak256(NAME), keccak256(VERSION), chain.id, self)
    )


@internal
@view
def _domain_separator() -> bytes32:
    # A fork with another chain id must not share signatures with this chain.
    if chain.id == _chain_id:
        return _separator
    return keccak256(abi_encode(DOMAIN_TYPE, keccak256(NAME), keccak256(VERSION), chain.id, self))


@internal
@view
def _digest(struct_hash: bytes32) -> bytes32:
    separator: bytes32 = _separator
    if chain.id != _chain_id:
        separator = self._domain_separator()
    return keccak256(concat(0x1901, separator, struct_hash))


@internal
@view
def _offer_digest(offer: types.Offer) -> bytes32:
    return self._digest(keccak256(abi_encode(OFFER_TYPE, offer)))


@internal
@view
def _bid_digest(bid: types.Bid) -> bytes32:
    return self._digest(keccak256(abi_encode(BID_TYPE, bid)))


@internal
@view
def _withdrawal_digest(item: types.Withdrawal) -> bytes32:
    return self._digest(keccak256(abi_encode(WITHDRAWAL_TYPE, item)))


@internal
@view
def _lease_id(terms: types.LeaseTerms) -> bytes32:
    # No block data: a match that a reorganisation moves keeps its id, and its receipts stay good.
    separator: bytes32 = _separator
    if chain.id != _chain_id:
        separator = self._domain_separator()
    return keccak256(abi_encode(separator, terms))


@internal
@pure
def _signer_of(digest: bytes32, r: bytes32, vs: bytes32) -> address:
    # The zero address for what is no signature, and for the upper of two signatures that mean the same.
    s: uint256 = convert(vs, uint256) & LOW_255
    if s > HALF_ORDER:
        return empty(address)
    v: uint256 = unsafe_add(27, convert(vs, uint256) >> 255)
    return ecrecover(digest, v, convert(r, uint256), s)


