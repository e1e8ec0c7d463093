"""What a stranger needs to check the demo with a bare web3 client; written as JSON, nothing rounded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any

from ledger.chain.client import MarketClient
from ledger.market.facts import OutputFile
from ledger.market.identity import Address, from_text, text
from node.buying.profile import Profile


@dataclass
class Record:
    """Collects as the demo goes; `parties` maps a name to its account."""

    profile: Profile
    chain: MarketClient
    parties: dict[str, Address]
    jobs: list[dict[str, Any]] = field(default_factory=list)
    before: list[dict[str, str]] = field(default_factory=list)
    after: list[dict[str, str]] = field(default_factory=list)

    def balances(self) -> list[dict[str, str]]:
        """Every party's wallet (token and coin), balance and free stake, as the chain has them."""
        return [
            {
                "party": name,
                "address": text(account),
                "token": str(self.chain.token_balance(account)),
                "balance": str(self.chain.balance_of(account)),
                "stake": str(self.chain.stake_of(account)),
                "coin": str(self.chain.coin_balance(account)),
            }
            for name, account in self.parties.items()
        ]

    def add(
        self, name: str, job: Mapping[str, Any], outputs: Sequence[tuple[OutputFile, Path]]
    ) -> dict[str, Any]:
        """A job that had a lease, with its transactions and their gas."""
        lease = job["leases"][-1]
        moves = lease["transactions"]
        hashes = [moves["opened"], *moves["settled"], moves["terminated"], moves["closed"]]
        unique = dict.fromkeys(one for one in hashes if one)
        entry = {
            "name": name,
            "job": job["job"],
            "state": job["state"],
            "exit_code": job["exit_code"],
            "lease": lease["lease"],
            "provider": lease["terms"]["provider"],
            "rate": lease["terms"]["rate"],
            "signer": lease["terms"]["signer"],
            "milliseconds": lease["receipt"]["milliseconds"] if lease["receipt"] else 0,
            "usage": lease["usage"],
            "escrow": lease["escrow"],
            "paid": lease["paid"],
            "refunded": lease["refunded"],
            "fee": lease["fee"],
            "closed_because": lease["because"],
            "transactions": sorted((self._transaction(one) for one in unique), key=itemgetter("block")),
            "outputs": [
                {"path": file.path, "sha256": file.sha256, "size": file.size, "file": str(path)}
                for file, path in outputs
            ],
        }
        self.jobs.append(entry)
        return entry

    def add_refused(self, name: str, problem: Mapping[str, Any]) -> None:
        """A job that was refused before any money moved."""
        self.jobs.append(
            {"name": name, "state": "refused", "lease": None, "transactions": []} | dict(problem)
        )

    def to_plain(self) -> dict[str, Any]:
        return {
            "rpc_url": self.profile.rpc_url,
            "node_url": self.profile.node_url,
            "chain_id": self.profile.chain_id,
            "market": text(self.profile.market),
            "token": text(self.profile.token),
            "decimals": self.profile.decimals,
            "jobs": self.jobs,
            "balances": {"before": self.before, "after": self.after},
        }

    def _transaction(self, name: str) -> dict[str, Any]:
        mined = self.chain.receipt(from_text(name, 32))
        assert mined is not None
        return {
            "hash": name,
            "block": mined.block.number,
            "gas_used": mined.gas_used,
            "gas_price": mined.gas_price,
            "events": [type(event).__name__ for event in mined.events],
        }
