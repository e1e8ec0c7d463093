"""Carries a provider's stake and offers from a market that retires to its successor.

`provider_agent.offers.migration` says what comes next; here each step becomes one transaction of the
provider's own key, waited for before the next is decided. The target is written down before the first
step, since money on its way is seen at neither market.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from ledger.chain import calls
from ledger.chain.audit import state_at
from ledger.chain.calls import Call
from ledger.chain.client import MarketClient
from ledger.chain.keys import Signer
from ledger.chain.wallet import Patience, send_and_wait
from ledger.market.errors import Rejected
from ledger.market.identity import Address, from_text, text
from ledger.market.instructions import CancelOffer, FinishUnstake
from ledger.market.plain import Reader
from ledger.market.state import MarketState
from provider_agent.directory import Paths, replace_file
from provider_agent.offers.migration import (
    BringIn,
    CancelOffers,
    Holdings,
    QueueStake,
    StakeAgain,
    Step,
    TakeBalanceOut,
    TakeStakeBack,
    next_step,
    waits,
)
from provider_agent.settings import FILE as SETTINGS
from provider_agent.settings import settings_from_plain

FILE = "migration.json"
BEFORE = "before-migration"


@dataclass(frozen=True, kw_only=True)
class Move:
    """One provider's way from `old` to `new`; `first_block` is where the old market began."""

    old: MarketClient
    new: MarketClient
    key: Signer
    first_block: int
    folder: Path
    patience: Patience

    def run(self, told: Callable[[Step], None]) -> Step | None:
        """Do every step that can be done now; what must be waited for, None when all is moved.

        `told` hears of each step before it is sent. `Rejected` "other-money" where the two markets pay in
        different tokens or stand on different chains.
        """
        self._check_same_money()
        target = self._target()
        while True:
            step = next_step(*self._both(), self.old.token_balance(self.key.address), target, self._now())
            if waits(step):
                return step
            assert step is not None
            told(step)
            for client, call in self._calls(step):
                send_and_wait(client, self.key, call, self.patience)

    def _check_same_money(self) -> None:
        here, there = self.old, self.new
        if here.chain_id() != there.chain_id() or here.token() != there.token():
            raise Rejected(
                "other-money",
                "The two markets stand on different chains or pay in different tokens.",
                "Unstake and withdraw at the old one, and begin anew at the other.",
            )

    def _target(self) -> int:
        """The stake to be had at the new market, fixed when the move began."""
        path = self.folder / FILE
        if path.exists():
            read = Reader(json.loads(path.read_text()), "migration")
            if Address(from_text(read.get("to", str), 20)) != self.new.market:
                raise Rejected(
                    "other-migration", f"{path} belongs to a move to another market.", "Finish that first."
                )
            return int(read.get("stake", str))
        state = self._state()
        account = self.key.address
        queued, _ = self.old.unstaking_of(account)
        target = self.old.stake_of(account) + queued + state.locked(account)
        replace_file(path, json.dumps({"to": text(self.new.market), "stake": str(target)}) + "\n")
        return target

    def _both(self) -> tuple[Holdings, Holdings]:
        state = self._state()
        account = self.key.address
        offers = tuple(
            (name, offer)
            for name, offer in state.offers.items()
            if offer.provider == account and name not in state.cancelled
        )
        leases = sum(lease.terms.provider == account for lease in state.leases.values())
        queued, unlock_at = self.old.unstaking_of(account)
        old = Holdings(
            stake=self.old.stake_of(account),
            unstaking=queued,
            unlock_at=unlock_at,
            balance=self.old.balance_of(account),
            open_offers=offers,
            open_leases=leases,
        )
        there = self.new
        new = Holdings(
            stake=there.stake_of(account), unstaking=0, unlock_at=0, balance=there.balance_of(account)
        )
        return old, new

    def _state(self) -> MarketState:
        return state_at(self.old, self.first_block, self.old.block("latest").number)

    def _now(self) -> int:
        return self.old.block("latest").at

    def _calls(self, step: Step) -> list[tuple[MarketClient, Call]]:
        old, new = self.old, self.new
        match step:
            case CancelOffers(offers=offers):
                return [(old, old.call_of(CancelOffer(offer=offer))) for _, offer in offers]
            case QueueStake(amount=amount):
                return [(old, calls.request_unstake(old.market, amount))]
            case TakeStakeBack():
                return [(old, old.call_of(FinishUnstake(account=self.key.address)))]
            case TakeBalanceOut(amount=amount):
                return [(old, calls.withdraw(old.market, amount))]
            case BringIn(amount=amount):
                return [
                    (new, calls.approve(new.token(), new.market, amount)),
                    (new, calls.deposit(new.market, amount)),
                ]
            case StakeAgain(amount=amount):
                return [(new, calls.stake(new.market, amount))]
            case _:
                return []


def point_at(folder: Path, node: str, rpc: str, market: Mapping[str, object]) -> Path:
    """Have the provider's settings name the new market, and the agent begin there without a memory of the
    old one: the offers that it finds missing it registers. What was there before is kept in the folder that
    is returned."""
    path, kept = folder / SETTINGS, folder / BEFORE
    plain = yaml.safe_load(path.read_text(encoding="utf-8"))
    if plain["market"].get("address") == market["address"]:
        return kept
    kept.mkdir(exist_ok=True)
    replace_file(kept / SETTINGS, path.read_text(encoding="utf-8"))
    paths = Paths(root=folder)
    for memory in (paths.state, paths.outbox):
        for file in folder.glob(f"{memory.name}*"):
            file.rename(kept / file.name)
    plain |= {"node": node, "rpc": rpc, "market": dict(market)}
    settings_from_plain(plain)
    replace_file(path, yaml.safe_dump(plain, sort_keys=False, allow_unicode=True))
    return kept
