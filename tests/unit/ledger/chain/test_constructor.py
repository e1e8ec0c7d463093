"""The market's constructor arguments, against eth-abi's encoding of the committed ABI."""

from dataclasses import astuple

from eth_abi.abi import encode
from eth_utils.abi import collapse_if_tuple
from hypothesis import given
from hypothesis import strategies as st

from contracts.loader import artifact
from ledger.chain.constructor import market_constructor
from ledger.market.identity import Address
from ledger.market.policy import EMBEDDED, PUBLIC, Policy

ADDRESSES = st.binary(min_size=20, max_size=20).map(Address)


@given(
    parties=st.tuples(ADDRESSES, ADDRESSES, ADDRESSES, ADDRESSES), policy=st.sampled_from([EMBEDDED, PUBLIC])
)
def test_the_arguments_are_what_the_abi_encodes(
    parties: tuple[Address, Address, Address, Address], policy: Policy
) -> None:
    (entry,) = [entry for entry in artifact("ComputeMarket").abi if entry["type"] == "constructor"]
    types = [collapse_if_tuple(one) for one in entry["inputs"]]
    token, guardian, arbiter, jury = parties
    ours = market_constructor(token, guardian, arbiter, jury, policy)
    assert ours == encode(types, [*parties, astuple(policy)])
