# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title Judges replicas of one job by a quorum of equal results
@license Apache-2.0
@notice Each provider of a replica first commits to its result and then reveals it, so that none can copy
    another's. Equal results in the number that the buyer's bid asked for make a quorum: who revealed
    another one is guilty. Who stays silent is not, and neither is anybody without a quorum. The jury
    holds no money; the market does what it judges.
"""

from . import types

interface Market:
    def policy() -> types.Policy: view
    def bidDigest(bid: types.Bid) -> bytes32: view
    def leaseId(terms: types.LeaseTerms) -> bytes32: view
    def leaseOf(lease: bytes32) -> (uint256, uint256, uint256, uint256, uint256): view
    def delegateOf(account: address, key: address) -> (uint256, uint256, uint256): view
    def judge(terms: types.LeaseTerms, guilty: bool): nonpayable

# A provider named this lease's result without showing it.
event ResultCommitted:
    lease: indexed(bytes32)
    provider: indexed(address)
    commitment: bytes32

# A provider showed the result that it had committed to.
event ResultRevealed:
    lease: indexed(bytes32)
    provider: indexed(address)
    result: bytes32

# The replicas of a bid are judged: `agreed` of them revealed `result`; both are 0 without a quorum.
event ReplicasDecided:
    bid: indexed(bytes32)
    result: bytes32
    agreed: uint256

# Bit of a lease's state, and of a delegate's roles, as the market has them.
UNDECIDED: constant(uint256) = 128
OPERATE: constant(uint256) = 2

_market: address
_commitments: HashMap[bytes32, bytes32]
_results: HashMap[bytes32, bytes32]
# How many leases of a bid are committed.
_commits: HashMap[bytes32, uint256]


@external
def bind():
    """
    @notice Makes the caller the market that this jury judges for; once. A market calls it when deployed.
    """
    assert self._market == empty(address), "jury: bound before"
    self._market = msg.sender


# Which moment ends what: seconds of the chain's clock.

@internal
@view
def _patience() -> uint256:
    policy: types.Policy = staticcall Market(self._market).policy()
    return 2 * policy.receiptInterval


@internal
@view
def _commit_until(lease: bytes32, duration: uint256) -> uint256:
    escrow: uint256 = 0
    paid: uint256 = 0
    start: uint256 = 0
    end_offset: uint256 = 0
    state: uint256 = 0
    escrow, paid, start, end_offset, state = staticcall Market(self._market).leaseOf(lease)
    assert state & UNDECIDED != 0, "jury: nothing to judge"
    if end_offset == 0:
        end_offset = duration
    return start + end_offset + self._patience()


@internal
@view
def _check_sender(provider: address):
    if msg.sender == provider:
        return
    roles: uint256 = 0
    allowance: uint256 = 0
    until: uint256 = 0
    roles, allowance, until = staticcall Market(self._market).delegateOf(provider, msg.sender)
    assert roles & OPERATE != 0 and block.timestamp <= until, "jury: not the provider"


@external
def commit(terms: types.LeaseTerms, commitment: bytes32):
    """
    @notice Binds the lease's provider to a result that nobody can read yet; once, until two receipt
        intervals after the lease's end.
    @param terms Of an open replica that is not judged; the caller is its provider or operates for it.
    @param commitment keccak256(abi.encode(lease, provider, result, salt)) with a salt of 32 random
        bytes; not zero.
    """
    provider: address = convert(terms.provider, address)
    self._check_sender(provider)
    lease: bytes32 = staticcall Market(self._market).leaseId(terms)
    until: uint256 = self._commit_until(lease, terms.duration)
    assert block.timestamp <= until, "jury: too late"
    assert commitment != empty(bytes32), "jury: no commitment"
    assert self._commitments[lease] == empty(bytes32), "jury: committed before"
    self._commitments[lease] = commitment
    self._commits[terms.bid] += 1
    log ResultCommitted(lease=lease, provider=provider, commitment=commitment)


@external
def reveal(bid: types.Bid, terms: types.LeaseTerms, result: bytes32, salt: bytes32):
    """
    @notice Shows a committed result; once, as soon as all replicas are committed or may be no more, and
        until two receipt intervals after the last moment to commit.
    @param bid That the lease was opened from.
    @param terms Of an open replica that is not judged; the caller is its provider or operates for it.
    @param result Hash of what the job put out; not zero.
    @param salt Of the commitment.
    """
    provider: address = convert(terms.provider, address)
    self._check_sender(provider)
    lease: bytes32 = staticcall Market(self._market).leaseId(terms)
    until: uint256 = self._commit_until(lease, terms.duration)
    digest: bytes32 = staticcall Market(self._market).bidDigest(bid)
    assert digest == terms.bid, "jury: another bid"
    committed: bytes32 = keccak256(abi_encode(lease, provider, result, salt))
    assert committed == self._commitments[lease], "jury: not the commitment"
    assert result != empty(bytes32), "jury: no result"
    assert self._results[lease] == empty(bytes32), "jury: revealed before"
    assert self._commits[digest] == bid.members or block.timestamp > until, "jury: too early"
    assert block.timestamp <= until + self._patience(), "jury: too late"
    self._results[lease] = result
    log ResultRevealed(lease=lease, provider=provider, result=result)


@internal
@view
def _check_ripe(revealed: uint256, members: uint256, commits: uint256, commit_until: uint256):
    if revealed == members:
        return
    until: uint256 = commit_until
    if commits != 0:
        until += self._patience()
    assert block.timestamp > until, "jury: not yet"


@internal
@pure
def _quorum(
    results: DynArray[bytes32, types.MAX_REPLICAS], agree: uint256
) -> (bytes32, uint256):
    # More than half must agree, so no two results can; silence (zero) is no result.
    for candidate: bytes32 in results:
        if candidate == empty(bytes32):
            continue
        equal: uint256 = 0
        for result: bytes32 in results:
            if result == candidate:
                equal += 1
        if equal >= agree:
            return candidate, equal
    return empty(bytes32), 0


@external
def decide(bid: types.Bid, members: DynArray[types.LeaseTerms, types.MAX_REPLICAS]):
    """
    @notice Has the market judge all replicas of a bid; anybody may call, once all results are revealed
        or the time to reveal them is over (the time to commit, where nobody did).
    @param bid That the leases were opened from.
    @param members The terms of all its leases, in the order of their member numbers.
    """
    digest: bytes32 = staticcall Market(self._market).bidDigest(bid)
    assert len(members) == bid.members, "jury: not its members"
    results: DynArray[bytes32, types.MAX_REPLICAS] = []
    revealed: uint256 = 0
    latest: uint256 = 0
    number: uint256 = 0
    for terms: types.LeaseTerms in members:
        assert terms.bid == digest and terms.member == number, "jury: not its members"
        lease: bytes32 = staticcall Market(self._market).leaseId(terms)
        until: uint256 = self._commit_until(lease, terms.duration)
        latest = max(latest, until)
        result: bytes32 = self._results[lease]
        if result != empty(bytes32):
            revealed += 1
        results.append(result)
        number += 1
    self._check_ripe(revealed, bid.members, self._commits[digest], latest)
    agreed_result: bytes32 = empty(bytes32)
    agreed: uint256 = 0
    agreed_result, agreed = self._quorum(results, bid.flags >> types.AGREE_PLACE)
    log ReplicasDecided(bid=digest, result=agreed_result, agreed=agreed)
    number = 0
    for terms: types.LeaseTerms in members:
        result: bytes32 = results[number]
        other: bool = result != empty(bytes32) and result != agreed_result
        extcall Market(self._market).judge(terms, agreed != 0 and other)
        number += 1


@external
@view
def market() -> address:
    """
    @notice The market that this jury judges for.
    @return Zero until one is bound.
    """
    return self._market


@external
@view
def commitmentOf(lease: bytes32) -> bytes32:
    """
    @notice What a lease's provider committed to; it stays after the judgement.
    @param lease Its id.
    @return Zero where nothing was committed.
    """
    return self._commitments[lease]


@external
@view
def resultOf(lease: bytes32) -> bytes32:
    """
    @notice What a lease's provider revealed; it stays after the judgement.
    @param lease Its id.
    @return Zero where nothing was revealed.
    """
    return self._results[lease]


@external
@view
def commitsOf(bid: bytes32) -> uint256:
    """
    @notice How many replicas of a bid are committed.
    @param bid EIP-712 digest of the bid.
    @return At most its members.
    """
    return self._commits[bid]
