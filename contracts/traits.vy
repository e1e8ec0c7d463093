# pragma version 0.4.3
"""
@title What the contract itself checks beyond quantity and price
@notice One word: vendor, region and feature bits, then three 32-bit values. The meaning of each bit
    stands in the table of README.md; the contract needs only the fields' places.
"""

VENDORS: constant(uint256) = 2**32 - 1
REGIONS: constant(uint256) = (2**64 - 1) << 32
FEATURES: constant(uint256) = (2**64 - 1) << 96
VALUE: constant(uint256) = 2**32 - 1
DEVICE_MEMORY: constant(uint256) = 160
CAPABILITY: constant(uint256) = 192
MODEL: constant(uint256) = 224


@internal
@pure
def _one_bit(bits: uint256) -> bool:
    return bits != 0 and bits & (bits - 1) == 0


@internal
@pure
def _valid_claim(claim: uint256) -> bool:
    # An offer is in exactly one region and of exactly one vendor, or it would satisfy every demand.
    return self._one_bit(claim & VENDORS) and self._one_bit(claim & REGIONS)


@internal
@pure
def _value(word: uint256, place: uint256) -> uint256:
    return (word >> place) & VALUE


@internal
@pure
def _satisfies(claim: uint256, demand: uint256) -> bool:
    if claim & demand & VENDORS == 0 or claim & demand & REGIONS == 0:
        return False
    if demand & ~claim & FEATURES != 0:
        return False
    if self._value(claim, DEVICE_MEMORY) < self._value(demand, DEVICE_MEMORY):
        return False
    if self._value(claim, CAPABILITY) < self._value(demand, CAPABILITY):
        return False
    model: uint256 = self._value(demand, MODEL)
    return model == 0 or model == self._value(claim, MODEL)
