# pragma version 0.4.3
"""
@title What callers hand to the market, and the codes it answers with
@notice Numeric fields are full words although the signed types are narrower: the range is part
    of the validation, so that one bad field skips one item instead of reverting a whole batch. So are
    addresses in what is hashed: left-padded, as they are signed. That also spares a check and a copy of
    every field at every entry, which is a sixth of all that may be deployed.
"""

struct Policy:
    receiptInterval: uint256
    grace: uint256
    challengeWindow: uint256
    arbitrationWindow: uint256
    unstakeDelay: uint256
    feeBps: uint256
    stakeBps: uint256
    noShowBps: uint256

struct Offer:
    provider: bytes32
    capacity: uint256
    ask: uint256
    traits: uint256
    minSeconds: uint256
    maxSeconds: uint256
    validUntil: uint256
    epoch: uint256
    salt: uint256
    document: bytes32

struct Bid:
    buyer: bytes32
    signer: bytes32
    want: uint256
    traits: uint256
    limitRate: uint256
    maxOverAskBps: uint256
    duration: uint256
    startBy: uint256
    validUntil: uint256
    openAfter: uint256
    members: uint256
    flags: uint256
    epoch: uint256
    nonce: uint256
    job: bytes32
    provider: bytes32
    matcher: bytes32
    continues: bytes32

# `deal`: the rate in the low 96 bits, above them which of the offers.
struct Fill:
    deal: uint256
    bid: Bid
    r: bytes32
    vs: bytes32

struct Member:
    offerIndex: uint256
    rate: uint256

struct LeaseTerms:
    offer: bytes32
    bid: bytes32
    member: uint256
    provider: bytes32
    buyer: bytes32
    signer: bytes32
    matcher: bytes32
    want: uint256
    rate: uint256
    duration: uint256

# `usage`: milliseconds in the low 64 bits, above them 1 for the last receipt.
struct Settlement:
    terms: LeaseTerms
    usage: uint256
    evidence: bytes32
    r: bytes32
    vs: bytes32

struct Withdrawal:
    account: address
    to: address
    amount: uint256
    nonce: uint256
    deadline: uint256

# Every array argument is copied at its bound, so the bound is what one call may carry.
MAX_ITEMS: constant(uint256) = 32
MAX_REPLICAS: constant(uint256) = 15

# Flags of a bid; its high half says how many equal results decide replicas.
DISTINCT: constant(uint256) = 1
REPLICAS: constant(uint256) = 2
AGREE_PLACE: constant(uint256) = 4

RATE: constant(uint256) = 2**96 - 1
INDEX_PLACE: constant(uint256) = 96
MILLISECONDS: constant(uint256) = 2**64 - 1
LAST: constant(uint256) = 2**64

OK: constant(uint256) = 0

# Why a bid was skipped.
OFFER_UNKNOWN: constant(uint256) = 1
OFFER_CANCELLED: constant(uint256) = 2
OFFER_EPOCH: constant(uint256) = 3
OFFER_EXPIRES: constant(uint256) = 4
DURATION: constant(uint256) = 5
CAPACITY: constant(uint256) = 6
TRAITS: constant(uint256) = 7
BELOW_ASK: constant(uint256) = 8
ABOVE_LIMIT: constant(uint256) = 9
OVER_ASK: constant(uint256) = 10
BID_FIELD: constant(uint256) = 11
FLAGS: constant(uint256) = 12
MEMBERS: constant(uint256) = 13
CONTINUES: constant(uint256) = 14
BID_EXPIRED: constant(uint256) = 15
START_BY: constant(uint256) = 16
BID_EPOCH: constant(uint256) = 17
NONCE_USED: constant(uint256) = 18
MATCHER: constant(uint256) = 19
PROVIDER: constant(uint256) = 20
SELF_TRADE: constant(uint256) = 21
SIGNATURE: constant(uint256) = 22
FUNDS: constant(uint256) = 23
OFFER_FIELD: constant(uint256) = 24
STAKE: constant(uint256) = 25
DELEGATE: constant(uint256) = 26
NOT_DISTINCT: constant(uint256) = 27

# Why a receipt or a close was skipped.
LEASE_UNKNOWN: constant(uint256) = 40
RECEIPT_SIGNATURE: constant(uint256) = 41
NOT_MONOTONE: constant(uint256) = 42
BEYOND_ELAPSED: constant(uint256) = 43
BEYOND_DURATION: constant(uint256) = 44
BEYOND_TERMINATION: constant(uint256) = 45
RECEIPT_FIELD: constant(uint256) = 46
NOT_YET: constant(uint256) = 47
CLAIMED: constant(uint256) = 48
UNDECIDED: constant(uint256) = 49

# Why a lease closed.
LAST_RECEIPT: constant(uint256) = 1
RELEASED: constant(uint256) = 2
EXPIRED: constant(uint256) = 3
CONTINUED: constant(uint256) = 4
BY_CLAIM: constant(uint256) = 5
JUDGED: constant(uint256) = 6

# Who decided a claim.
UNCONTESTED: constant(uint256) = 1
BY_ARBITER: constant(uint256) = 2
BY_SILENCE: constant(uint256) = 3
