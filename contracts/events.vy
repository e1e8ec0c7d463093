# pragma version 0.4.3
"""
@title What the market logs
@notice Ids, buyer and provider are indexed. Money moves are deltas; a lease's events carry its totals
    too. These alone rebuild the storage.
"""

event OfferRegistered:
    offer: indexed(bytes32)
    provider: indexed(address)
    capacity: uint256
    ask: uint256
    traits: uint256
    minSeconds: uint256
    maxSeconds: uint256
    validUntil: uint256
    epoch: uint256
    salt: uint256
    document: bytes32

event OfferCancelled:
    offer: indexed(bytes32)
    provider: indexed(address)

event EpochBumped:
    account: indexed(address)
    epoch: uint256

event NoncesCancelled:
    account: indexed(address)
    word: uint256
    mask: uint256

event BatchMatched:
    matcher: indexed(address)
    root: bytes32
    opened: uint256
    skipped: uint256

event BidSkipped:
    bid: indexed(bytes32)
    reason: uint256

event ReceiptSkipped:
    lease: indexed(bytes32)
    reason: uint256

event LeaseOpened:
    lease: indexed(bytes32)
    buyer: indexed(address)
    provider: indexed(address)
    offer: bytes32
    bid: bytes32
    signer: address
    matcher: address
    member: uint256
    want: uint256
    rate: uint256
    duration: uint256
    start: uint256
    escrow: uint256
    nonce: uint256
    job: bytes32

event UsageSettled:
    lease: indexed(bytes32)
    buyer: indexed(address)
    provider: indexed(address)
    milliseconds: uint256
    amount: uint256
    paid: uint256
    evidence: bytes32

event LeaseTerminated:
    lease: indexed(bytes32)
    buyer: indexed(address)
    provider: indexed(address)
    endOffset: uint256

event LeaseClosed:
    lease: indexed(bytes32)
    buyer: indexed(address)
    provider: indexed(address)
    paid: uint256
    refunded: uint256
    reason: uint256

event Deposited:
    account: indexed(address)
    amount: uint256

event Withdrawn:
    account: indexed(address)
    amount: uint256
