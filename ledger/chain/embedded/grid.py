"""Founding a grid: a chain of its own with the token, the jury and the market already on it.

Everything happens in a directory aside and is moved into place at the end: a kill in between leaves
nothing that could be mistaken for a grid, and founding again starts afresh.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from eth_abi.abi import encode as encode_abi

from ledger.chain.abi import JURY as JURY_CONTRACT
from ledger.chain.abi import MARKET as MARKET_CONTRACT
from ledger.chain.abi import TOKEN as TOKEN_CONTRACT
from ledger.chain.constructor import market_constructor
from ledger.chain.embedded import genesis
from ledger.chain.embedded.chain import (
    DEFAULT_FINALITY,
    DEFAULT_KEEP_STATES,
    Clock,
    EmbeddedChain,
    found,
    lock,
)
from ledger.chain.embedded.faucet import sign
from ledger.chain.embedded.genesis import Genesis
from ledger.chain.embedded.transactions import TRANSACTION_GAS_CAP
from ledger.market.errors import Broken
from ledger.market.identity import Address
from ledger.market.policy import EMBEDDED, Policy

TOKEN = "token"  # noqa: S105  # a role's name
JURY = "jury"
MARKET = "market"
_MINUTE = 60


class Artifact(Protocol):
    """A compiled contract."""

    @property
    def abi(self) -> Sequence[Mapping[str, Any]]:
        """Its interface; the constructor's inputs are read from it."""

    @property
    def bytecode(self) -> bytes:
        """Its creation code, without constructor arguments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GridPolicy:
    """What an embedded grid fixes for good: the market's rules (see `Policy`), and the test token."""

    receipt_interval: int = EMBEDDED.receipt_interval
    grace: int = EMBEDDED.grace
    challenge_window: int = EMBEDDED.challenge_window
    arbitration_window: int = EMBEDDED.arbitration_window
    unstake_delay: int | None = None
    """None: a minute longer than the longest of the other windows"""
    fee_bps: int = EMBEDDED.fee_bps
    stake_bps: int = EMBEDDED.stake_bps
    no_show_bps: int = EMBEDDED.no_show_bps
    token_name: str = "Bingwang Test Credit"  # noqa: S105  # not a secret
    token_symbol: str = "BWC"  # noqa: S105  # not a secret
    token_decimals: int = 6
    token_supply: int = 10**15 * 10**6

    @property
    def market(self) -> Policy:
        """The market's rules; `Rejected` where they are none."""
        longest = max(self.receipt_interval, self.grace, self.challenge_window, self.arbitration_window)
        delay = longest + _MINUTE if self.unstake_delay is None else self.unstake_delay
        return Policy(
            receipt_interval=self.receipt_interval,
            grace=self.grace,
            challenge_window=self.challenge_window,
            arbitration_window=self.arbitration_window,
            unstake_delay=delay,
            fee_bps=self.fee_bps,
            stake_bps=self.stake_bps,
            no_show_bps=self.no_show_bps,
        )


Populate = Callable[[EmbeddedChain], Mapping[str, bytes]]
"""Puts contracts on a new chain and says where: role to address."""


def initialise(
    directory: Path, *, chain_id: int, at: int, faucet_key: bytes, populate: Populate | None = None
) -> Genesis:
    """Found a chain whose block 0 is of second `at`; the faucet, owner of `faucet_key`, holds all the coin.

    `chain_id` is drawn by the caller, at random below 2^52, so that no two grids share a signature. Raises
    `Rejected` when the directory holds a chain.
    """
    directory.mkdir(parents=True, exist_ok=True)
    held = lock(directory)
    try:
        aside = genesis.begin(directory)
        faucet = genesis.write_key(aside, faucet_key)
        identity = Genesis(chain_id=chain_id, timestamp=at, faucet=faucet)
        found(aside, identity)
        genesis.write(aside, identity)
        if populate is not None:
            identity = replace(identity, contracts=_populated(aside, at, populate))
            genesis.write(aside, identity)
        genesis.finish(directory)
    finally:
        os.close(held)
    return identity


def open_chain(
    directory: Path,
    clock: Clock,
    *,
    finality: int = DEFAULT_FINALITY,
    keep_states: int | None = DEFAULT_KEEP_STATES,
) -> EmbeddedChain:
    """Open a founded chain. `Rejected` when there is none or it runs already; `Broken` if damaged.

    See `EmbeddedChain` for `finality` and `keep_states`.
    """
    return EmbeddedChain(directory, clock, finality=finality, keep_states=keep_states)


def deploy(chain: EmbeddedChain, creation_code: bytes) -> bytes:
    """Create a contract from the faucet's account in a block of its own; its address.

    `creation_code` is bytecode followed by the encoded constructor arguments. `Broken` when it fails.
    """
    transaction = chain.submit(sign(chain, to=b"", gas=TRANSACTION_GAS_CAP, data=creation_code))
    chain.seal()
    with chain.store.reading() as query:
        included = query.transaction(transaction)
        receipt = query.receipt(included.block, included.position) if included else None
    if receipt is None or receipt.status != 1 or receipt.contract is None:
        raise Broken(
            "deployment-failed",
            f"The contract creation 0x{transaction.hex()} did not succeed.",
            "Check the artifact and its constructor arguments.",
        )
    return receipt.contract


def deploy_grid(
    chain: EmbeddedChain, artifacts: Callable[[str], Artifact], policy: GridPolicy
) -> dict[str, bytes]:
    """Put the test token, all of it the faucet's, the jury and the market on the chain; role to address.

    The faucet's account, which is the grid's operator, guards the market and decides its claims.
    """
    named = (policy.token_name, policy.token_symbol, policy.token_decimals, policy.token_supply)
    token = deploy(chain, creation_code(artifacts(TOKEN_CONTRACT), named))
    jury = deploy(chain, artifacts(JURY_CONTRACT).bytecode)
    operator = Address(chain.genesis.faucet)
    arguments = market_constructor(Address(token), operator, operator, Address(jury), policy.market)
    market = deploy(chain, artifacts(MARKET_CONTRACT).bytecode + arguments)
    return {TOKEN: token, JURY: jury, MARKET: market}


def creation_code(artifact: Artifact, arguments: Sequence[object]) -> bytes:
    """Bytecode and constructor arguments (contract ABI) in one."""
    constructors = [entry for entry in artifact.abi if entry["type"] == "constructor"]
    types = [one["type"] for entry in constructors for one in entry["inputs"]]
    return artifact.bytecode + encode_abi(types, arguments)


def _populated(aside: Path, at: int, populate: Populate) -> Mapping[str, bytes]:
    chain = EmbeddedChain(aside, lambda: at)
    try:
        return dict(populate(chain))
    finally:
        chain.close()
