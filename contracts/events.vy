# pragma version 0.4.3
"""
@title What the market logs
@notice Ids, buyer and provider are indexed. Money moves are deltas; a lease's events carry its totals
    too. These alone rebuild the storage.
"""

# What the market fixed for good at its deployment; amounts of time in seconds, shares in 1/10,000.
event MarketDeployed:
    token: indexed(address)
    guardian: address
    arbiter: address
    jury: address
    receiptInterval: uint256
    grace: uint256
    challengeWindow: uint256
    arbitrationWindow: uint256
    unstakeDelay: uint256
    feeBps: uint256
    stakeBps: uint256
    noShowBps: uint256

# A provider put an offer on the market.
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

# A provider ended an offer for new leases.
event OfferCancelled:
    offer: indexed(bytes32)
    provider: indexed(address)

# An account voided its offers and bids so far.
event EpochBumped:
    account: indexed(address)
    epoch: uint256

# An account voided the nonces word * 256 + i of the bits i of the mask.
event NoncesCancelled:
    account: indexed(address)
    word: uint256
    mask: uint256

# What a key may do for an account from now on: logged when set, and anew when one of its bids opens.
event DelegateSet:
    account: indexed(address)
    key: indexed(address)
    roles: uint256
    allowance: uint256
    until: uint256

# A matcher's batch ended; the root is what it published about the round.
event BatchMatched:
    matcher: indexed(address)
    root: bytes32
    opened: uint256
    skipped: uint256

# A bid did not open.
event BidSkipped:
    bid: indexed(bytes32)
    reason: uint256

# A receipt did not pay, or a close of a batch was not due.
event ReceiptSkipped:
    lease: indexed(bytes32)
    reason: uint256

# A bid and an offer became a lease; the escrow left the buyer's balance, its lock the provider's stake.
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

# The lease was opened in the call that closed the previous one.
event LeaseContinued:
    lease: indexed(bytes32)
    previous: indexed(bytes32)

# The leases of the bid just opened are replicas; the seed is what their providers were drawn by.
event ReplicasOpened:
    bid: indexed(bytes32)
    members: uint256
    agree: uint256
    seed: bytes32

# A receipt took the amount from the escrow: the fee for the matcher, the rest to the provider's balance.
event UsageSettled:
    lease: indexed(bytes32)
    buyer: indexed(address)
    provider: indexed(address)
    milliseconds: uint256
    amount: uint256
    fee: uint256
    paid: uint256
    evidence: bytes32

# The fees of the receipts or the claim before it went to the matcher's balance.
event FeePaid:
    matcher: indexed(address)
    amount: uint256

# The buyer ended the lease, this many seconds after its start.
event LeaseTerminated:
    lease: indexed(bytes32)
    buyer: indexed(address)
    provider: indexed(address)
    endOffset: uint256

# The lease is over; the refund returned to the buyer's balance, the lock to the provider's free stake.
event LeaseClosed:
    lease: indexed(bytes32)
    buyer: indexed(address)
    provider: indexed(address)
    paid: uint256
    refunded: uint256
    reason: uint256

# So much of the lock of the lease just closed did not return; it is nobody's any more.
event StakeBurned:
    provider: indexed(address)
    lease: indexed(bytes32)
    amount: uint256

# The provider claims that the lease's total be this; the bond left its balance.
event ClaimOpened:
    lease: indexed(bytes32)
    buyer: indexed(address)
    provider: indexed(address)
    claimed: uint256
    bond: uint256
    until: uint256

# The buyer contests the claim; the bond left its balance.
event ClaimContested:
    lease: indexed(bytes32)
    buyer: indexed(address)
    provider: indexed(address)
    bond: uint256
    until: uint256

# The claim is over: the amount left the escrow as of a receipt; the bonds went to whom it says, or are burned.
event ClaimDecided:
    lease: indexed(bytes32)
    buyer: indexed(address)
    provider: indexed(address)
    amount: uint256
    fee: uint256
    paid: uint256
    toProvider: uint256
    toBuyer: uint256
    burned: uint256
    by: uint256

# The jury judged a replica; where it is not guilty the lease goes on and its end is as told.
event LeaseJudged:
    lease: indexed(bytes32)
    guilty: bool
    start: uint256
    endOffset: uint256

# From the account's balance to its free stake.
event Staked:
    account: indexed(address)
    amount: uint256

# The amount left the free stake; all that is queued can be had from then on.
event UnstakeQueued:
    account: indexed(address)
    amount: uint256
    unlockAt: uint256

# All that was queued went to the account's balance.
event Unstaked:
    account: indexed(address)
    amount: uint256

# Tokens came in.
event Deposited:
    account: indexed(address)
    amount: uint256

# Tokens of the account's balance went out.
event Withdrawn:
    account: indexed(address)
    to: indexed(address)
    amount: uint256

# No new business until then.
event Paused:
    until: uint256

# New business again.
event Unpaused:
    guardian: indexed(address)

# Nobody can pause this market any more.
event GuardianRenounced:
    guardian: indexed(address)
