# pragma version 0.4.3
"""
@title Seven 32-bit lanes in one word
@notice A quantity (capacity, want, used) or a price vector (ask). Every lane is below 2^31, so its
    top bit is a guard and all lanes are compared in one subtraction.
"""

FIRST_BITS: constant(uint256) = (2**224 - 1) // (2**32 - 1)
GUARDS: constant(uint256) = FIRST_BITS * 2**31

# Lane 6 and the top 32 bits are reserved: zero in everything that a caller hands in.
USABLE: constant(uint256) = ((2**192 - 1) // (2**32 - 1)) * (2**31 - 1)
RESERVED: constant(uint256) = max_value(uint256) ^ USABLE
# Lane 0 and lane 2 of a word, and its lanes 0, 2 and 4, which leave 64 bits to each.
LANE_0: constant(uint256) = 2**32 - 1
LANE_2: constant(uint256) = (2**32 - 1) * 2**64
EVEN_LANES: constant(uint256) = (2**32 - 1) * (1 + 2**64 + 2**128)
# A word << ABOVE_LANES >> ABOVE_LANES is without the 32 bits above the lanes.
ABOVE_LANES: constant(uint256) = 32
