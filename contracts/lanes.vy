# pragma version 0.4.3
"""
@title Seven 32-bit lanes in one word
@notice A quantity (capacity, want, used) or a price vector (ask). Every lane is below 2^31, so its
    top bit is a guard and all lanes are compared in one subtraction.
"""

LANES: constant(uint256) = 2**224 - 1
FIRST_BITS: constant(uint256) = (2**224 - 1) // (2**32 - 1)
GUARDS: constant(uint256) = FIRST_BITS * 2**31

# Lane 6 and the top 32 bits are reserved: zero in everything that a caller hands in.
USABLE: constant(uint256) = ((2**192 - 1) // (2**32 - 1)) * (2**31 - 1)
USABLE_LANES: constant(uint256) = 6
LANE_MASK: constant(uint256) = 2**32 - 1


@internal
@pure
def _valid(word: uint256) -> bool:
    return word & ~USABLE == 0


@internal
@pure
def _fits(capacity: uint256, used: uint256, want: uint256) -> bool:
    # used <= capacity in each lane, so the first subtraction cannot borrow between lanes.
    free: uint256 = capacity - used
    return ((free | GUARDS) - want) & GUARDS == GUARDS


@internal
@pure
def _released(used: uint256, want: uint256) -> uint256:
    # Saturates: a lane that would go below zero becomes zero.
    rest: uint256 = (used | GUARDS) - want
    kept: uint256 = rest & GUARDS
    return rest & (kept - (kept >> 31))


@internal
@pure
def _rate(ask: uint256, want: uint256) -> uint256:
    # Six products below 2^62: far from the end of the word.
    total: uint256 = 0
    for lane: uint256 in range(USABLE_LANES):
        place: uint256 = 32 * lane
        total += ((ask >> place) & LANE_MASK) * ((want >> place) & LANE_MASK)
    return total
