# pragma version 0.4.3
"""
@title What the contract itself checks beyond quantity and price
@notice One word: vendor, region and feature bits, then three 32-bit values. The meaning of each bit
    stands in the table of README.md; the contract needs only the fields' places.
"""

VENDORS: constant(uint256) = 2**32 - 1
REGIONS: constant(uint256) = (2**64 - 1) << 32
FEATURES: constant(uint256) = (2**64 - 1) << 96
# A word << ABOVE_x >> VALUE_SHIFT is the 32-bit value.
ABOVE_DEVICE_MEMORY: constant(uint256) = 64
ABOVE_CAPABILITY: constant(uint256) = 32
VALUE_SHIFT: constant(uint256) = 224
