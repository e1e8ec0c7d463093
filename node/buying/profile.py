"""The profile: which market, token, node and chain a command speaks to, written by `bingwang join`.

A signature names chain and market, so both are read once from the node that a person chose and kept:
a node that later says otherwise is not believed.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from ledger.market.errors import Rejected
from ledger.market.identity import Address, from_text, text
from ledger.market.plain import Reader
from ledger.market.policy import Policy
from ledger.market.wire import policy_from_plain, policy_to_plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """`node` is the account of the node (matcher and default signer); `decimals` the token's."""

    node_url: str
    rpc_url: str
    chain_id: int
    market: Address
    token: Address
    decimals: int
    node: Address
    policy: Policy
    first_block: int
    embedded: bool

    def to_plain(self) -> dict[str, object]:
        return {
            "node_url": self.node_url,
            "rpc_url": self.rpc_url,
            "chain_id": self.chain_id,
            "market": text(self.market),
            "token": text(self.token),
            "decimals": self.decimals,
            "node": text(self.node),
            "policy": policy_to_plain(self.policy),
            "first_block": self.first_block,
            "embedded": self.embedded,
        }


def profile_from_plain(value: object) -> Profile:
    """The profile in a file's JSON; `Rejected` for an unknown key or a wrong type."""
    read = Reader(value, "profile")
    profile = Profile(
        node_url=read.get("node_url", str),
        rpc_url=read.get("rpc_url", str),
        chain_id=read.get("chain_id", int),
        market=Address(from_text(read.get("market", str), 20)),
        token=Address(from_text(read.get("token", str), 20)),
        decimals=read.get("decimals", int),
        node=Address(from_text(read.get("node", str), 20)),
        policy=policy_from_plain(read.get("policy", dict)),
        first_block=read.get("first_block", int),
        embedded=read.get("embedded", bool),
    )
    read.done()
    return profile


def profile_from_market(market: dict[str, object], node_url: str, rpc_url: str | None) -> Profile:
    """The profile that a node's `GET /v1/market` describes; `rpc_url` overrides the node's own RPC."""
    keys = ("chain_id", "market", "token", "decimals", "node", "policy", "first_block", "embedded")
    plain = {key: market[key] for key in keys if key in market}
    return profile_from_plain(
        plain | {"node_url": node_url.rstrip("/"), "rpc_url": rpc_url or market.get("rpc_url", "")}
    )


def write_profile(path: Path, profile: Profile) -> None:
    """Replace the file whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.partial")
    partial.write_text(json.dumps(profile.to_plain(), indent=2) + "\n")
    partial.replace(path)


def read_profile(path: Path) -> Profile:
    """`Rejected` "no-profile" where nobody joined a market yet."""
    try:
        return profile_from_plain(json.loads(path.read_text()))
    except FileNotFoundError as exc:
        raise Rejected(
            "no-profile", f"There is no profile at {path}.", "Run `bingwang join URL` first."
        ) from exc
    except (OSError, ValueError) as exc:
        raise Rejected(
            "malformed-profile", f"{path} cannot be read.", "Run `bingwang join URL` again."
        ) from exc
