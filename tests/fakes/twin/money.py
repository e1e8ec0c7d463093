"""Money, stake, the guardian, delegates and offers on both sides."""

from collections.abc import Sequence

from ledger.market.events import MarketEvent
from ledger.market.offer import Offer
from ledger.market.withdrawal import Withdrawal
from tests.fakes.in_process_market import account, party, split, words_of
from tests.fakes.twin.core import Twin, require


class MoneyTwin(Twin):
    """The calls on an account's own money, keys and offers, each compared."""

    def _allowance(self, name: str) -> int:
        return int(self.chain.token.allowance(account(name), self.chain.market.address))

    def deposit(self, name: str, amount: int) -> list[MarketEvent]:
        allowance = self._allowance(name)
        balance = int(self.chain.token.balanceOf(account(name)))

        def on_model() -> list[MarketEvent]:
            require(min(allowance, balance) >= amount, "No more than is there and allowed.")
            return self.model.deposit(party(name), amount, self.at)

        return self.both(on_model, "deposit", amount, sender=name)

    def deposit_with_permit(
        self, owner: str, amount: int, deadline: int, *, signed_by: str = "", sender: str = "stranger"
    ) -> list[MarketEvent]:
        """With a fresh permit of the owner, or one that another has forged."""
        arguments = self.chain.permit_words(owner, amount, deadline, signed_by or owner)
        good = signed_by in ("", owner) and self.at <= deadline
        permitted = good or self._allowance(owner) == amount
        there = int(self.chain.token.balanceOf(account(owner))) >= amount

        def on_model() -> list[MarketEvent]:
            require(there, "No more than is there.")
            return self.model.deposit_with_permit(party(owner), amount, permitted, self.at)

        return self.both(on_model, "depositWithPermit", *arguments, sender=sender)

    def withdraw(self, name: str, amount: int) -> list[MarketEvent]:
        return self.both(lambda: self.model.withdraw(party(name), amount), "withdraw", amount, sender=name)

    def withdraw_signed(self, item: Withdrawal, signed_by: str, sender: str) -> list[MarketEvent]:
        words = [item.account, item.to, item.amount, item.nonce, item.deadline]
        authentic = party(signed_by) == item.account
        signature = self.chain.sign("Withdraw", words, signed_by)
        return self.both(
            lambda: self.model.withdraw_signed(item, authentic, self.at),
            "withdrawSigned",
            words_of(item),
            *split(signature),
            sender=sender,
        )

    def stake(self, name: str, amount: int) -> list[MarketEvent]:
        return self.both(lambda: self.model.stake(party(name), amount), "stake", amount, sender=name)

    def request_unstake(self, name: str, amount: int) -> list[MarketEvent]:
        return self.both(
            lambda: self.model.request_unstake(party(name), amount, self.at),
            "requestUnstake",
            amount,
            sender=name,
        )

    def finish_unstake(self, name: str, sender: str) -> list[MarketEvent]:
        return self.both(
            lambda: self.model.finish_unstake(party(name), self.at),
            "finishUnstake",
            account(name),
            sender=sender,
        )

    def pause(self, sender: str = "guardian") -> list[MarketEvent]:
        return self.both(lambda: self.model.pause(party(sender), self.at), "pause", sender=sender)

    def unpause(self, sender: str = "guardian") -> list[MarketEvent]:
        return self.both(lambda: self.model.unpause(party(sender), self.at), "unpause", sender=sender)

    def renounce_guardian(self, sender: str = "guardian") -> list[MarketEvent]:
        return self.both(
            lambda: self.model.renounce_guardian(party(sender)), "renounceGuardian", sender=sender
        )

    def set_delegate(self, name: str, key: str, roles: int, allowance: int, until: int) -> list[MarketEvent]:
        return self.both(
            lambda: self.model.set_delegate(party(name), party(key), roles, allowance, until),
            "setDelegate",
            account(key),
            roles,
            allowance,
            until,
            sender=name,
        )

    def register(self, offer: Offer, sender: str = "provider") -> list[MarketEvent]:
        offer_id = self.chain.offer_id(offer)
        return self.both(
            lambda: self.model.register_offer(party(sender), offer_id, offer, self.at),
            "registerOffer",
            words_of(offer),
            sender=sender,
        )

    def register_many(self, offers: Sequence[Offer], sender: str = "provider") -> list[MarketEvent]:
        named = [(self.chain.offer_id(offer), offer) for offer in offers]
        return self.both(
            lambda: self.model.register_offers(party(sender), named, self.at),
            "registerOffers",
            [words_of(offer) for offer in offers],
            sender=sender,
        )

    def cancel(self, offer: Offer, sender: str = "provider") -> list[MarketEvent]:
        offer_id = self.chain.offer_id(offer)
        return self.both(
            lambda: self.model.cancel_offer(party(sender), offer_id, offer, self.at),
            "cancelOffer",
            words_of(offer),
            sender=sender,
        )

    def bump_epoch(self, name: str) -> list[MarketEvent]:
        return self.both(lambda: self.model.bump_epoch(party(name)), "bumpEpoch", sender=name)

    def cancel_nonces(self, name: str, word: int, mask: int) -> list[MarketEvent]:
        return self.both(
            lambda: self.model.cancel_nonces(party(name), word, mask),
            "cancelNonces",
            word,
            mask,
            sender=name,
        )
