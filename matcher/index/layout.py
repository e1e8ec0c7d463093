"""Layout: where each number of an offer lies in the index, for the kernels that share it.

Offers lie in small blocks, one column after the other inside a block, so that one comparison tests a whole
column at once. A block's summary says what its best offer could do: a block that cannot serve a bid, or
not cheaper than what is found, is passed over unread.
"""

from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

int64: Any = np.int64
"""numpy's, for the kernels: its value counts as a plain integer"""

BLOCK: Final = 64
"""offers in one block"""
LANES: Final = 6
"""lanes that a bid may want; the reserved one must be 0"""

FREE: Final = 0
ASK: Final = 6
VENDORS: Final = 12
DEVICE_MEMORY: Final = 13
CAPABILITY: Final = 14
MODEL: Final = 15
LEAST_SECONDS: Final = 16
MOST_SECONDS: Final = 17
VALID_UNTIL: Final = 18
REPUTATION: Final = 19
PROVIDER: Final = 20
DOMAIN: Final = 21
PROFILE: Final = 22
ROW: Final = 23
WORDS: Final = 24
"""columns of 32 bits"""

FEATURES: Final = 0
REGIONS: Final = 1
LOT: Final = 2
LONGS: Final = 3
"""columns of 64 bits"""

S_FREE: Final = 0
"""of a summary: the most of each lane, then the least ask of each, then what any offer has"""
S_ASK: Final = 6
S_VENDORS: Final = 12
S_FEATURES: Final = 13
S_REGIONS: Final = 14
S_DEVICE_MEMORY: Final = 15
S_CAPABILITY: Final = 16
S_LEAST_SECONDS: Final = 17
S_MOST_SECONDS: Final = 18
S_VALID_UNTIL: Final = 19
S_REPUTATION: Final = 20
SUMMARY: Final = 21

B_COUNT: Final = 21
"""of a block, after its summary: its offers, the next block (-1: none), its bucket, its lowest key"""
B_NEXT: Final = 22
B_BUCKET: Final = 23
B_LOW: Final = 24

K_HEAD: Final = 21
"""of a bucket, after its summary: its first block (-1: none), model tag (-1: several), region (-1: several),
the lane whose ask is the key, and the side of the index it belongs to"""
K_MODEL: Final = 22
K_REGION: Final = 23
K_LANE: Final = 24
K_SIDE: Final = 25
META: Final = 26

BY_MODEL: Final = 0
"""the two sides: each offer lies once among those of its model and region, once among those of its price"""
BY_PRICE: Final = 1
SIDES: Final = 2

H_BLOCKS: Final = 0
"""of the header: blocks ever used, and the first of those that are empty (-1: none)"""
H_SPARE: Final = 1
HEADER: Final = 2

D_WANT: Final = 0
"""of a packed demand"""
D_VENDORS: Final = 6
D_DEVICE_MEMORY: Final = 7
D_CAPABILITY: Final = 8
D_DURATION: Final = 9
D_REPUTATION: Final = 10
D_FEATURES: Final = 11
D_REGIONS: Final = 12
D_LIMIT: Final = 13
D_LOT: Final = 14
D_MODEL: Final = 15
D_MODELS: Final = 16
"""how many model tags, providers to have and providers to shun follow in the demand's lists"""
D_PROVIDERS: Final = 17
D_SHUNNED: Final = 18
D_DEVICES: Final = 19
D_SHARE: Final = 20
D_MEMORY: Final = 21
"""MiB of each device that a member uses"""
D_DOMAINS: Final = 22
"""1 where domains matter"""
D_BONUS: Final = 23
"""the most that a domain's preference may be worth"""
D_PROFILE: Final = 24
DEMAND: Final = 25

O_START: Final = 0
"""of an offer's devices: where they lie in the pool (-1: all idle), how many, and what each lends"""
O_COUNT: Final = 1
O_MILLI: Final = 2
O_MEMORY: Final = 3
OCCUPANCY: Final = 4

F_COST: Final = 0
"""of a place that was found"""
F_LOT: Final = 1
F_ROW: Final = 2
F_RATE: Final = 3
FOUND: Final = 4

FAR: Final = (1 << 62) - 1
"""more than any rate of a bid that the kernels serve"""
SECONDS_LIMIT: Final = (1 << 32) - 1
"""a moment or a span in a column is at most this"""
