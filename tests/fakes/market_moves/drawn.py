"""What hypothesis draws for the market's state machine: who, how much, which bid, which receipt."""

from typing import Any

from hypothesis import strategies as st

from ledger.market.identity import Digest
from tests.fakes.in_process_market import NAMES, PROVIDERS

LATEST = 2**40 - 1
NONCES = (0, 1, 2, 31, 32, 33, 255, 256, 2**21, 2**64 - 1)

anybody = st.sampled_from(NAMES)
buyers = st.sampled_from(("buyer", "other"))
providers = st.sampled_from(PROVIDERS)
matchers = st.sampled_from(("matcher", "matcher", "stranger"))
amounts = st.sampled_from((0, 1, 999, 10**6, 10**9, 2**88))
mostly = st.sampled_from((True,) * 9 + (False,))
seldom = st.sampled_from((False,) * 5 + (True,))
pick = st.integers(0, 63)
results = st.sampled_from((b"\1" * 32, b"\1" * 32, b"\2" * 32)).map(Digest)
SALT = Digest(b"\7" * 32)
drawn_bids = st.fixed_dictionaries(
    {
        "name": buyers,
        "nonce": st.sampled_from(NONCES) | st.integers(3, 200),
        "cpu": st.integers(1, 2_000),
        "over": st.sampled_from((0, 0, 0, 0, 5, -1)),
        "signed_by": st.sampled_from(("", "", "", "", "laptop", "stranger")),
        "chosen": st.booleans(),
        "limit": st.sampled_from((10**14, 10**14, 10**14, 3 * 10**10)),
        "late": seldom,
    }
)
Drawn = dict[str, Any]
receipts = st.tuples(
    pick,
    st.one_of(st.integers(0, 600_000), st.integers(1, 560).map(lambda seconds: 1_000 * seconds)),
    st.booleans(),
    mostly,
)
