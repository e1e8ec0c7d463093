"""Receipts, the ends of leases, claims and the jury on both sides."""

from collections.abc import Sequence

from ledger.market.bid import Bid
from ledger.market.events import MarketEvent
from ledger.market.identity import Digest
from ledger.market.lease import LeaseTerms
from ledger.market.model import Revelation, Settlement
from ledger.market.receipt import UsageReceipt
from tests.fakes.in_process_market import party, words_of
from tests.fakes.twin.core import Claim
from tests.fakes.twin.money import MoneyTwin


class SettlingTwin(MoneyTwin):
    """The calls on open leases, each compared."""

    def receipt(self, claim: Claim) -> UsageReceipt:
        return UsageReceipt(
            lease=self.chain.lease_id(claim.terms),
            milliseconds=claim.milliseconds,
            evidence=claim.evidence,
            last=claim.last,
        )

    def settlement(self, claim: Claim) -> Settlement:
        return Settlement(
            terms=claim.terms,
            receipt=self.receipt(claim),
            authentic=party(claim.signed_by) == claim.terms.signer,
        )

    def settle(self, claim: Claim, sender: str = "stranger") -> list[MarketEvent]:
        """One receipt by the single path; the view must say the same before."""
        words = self.chain.settlement_words(claim.terms, self.receipt(claim), claim.signed_by)
        item = self.settlement(claim)
        told = self.chain.view("market", "checkSettlement", words)
        assert told == self.model.check_settlement(item, self.at)
        return self.both(lambda: self.model.settle(item, self.at), "settle", words, sender=sender)

    def settle_many(self, claims: Sequence[Claim], sender: str = "stranger") -> list[MarketEvent]:
        items = [self.settlement(claim) for claim in claims]
        words = [self.chain.settlement_words(c.terms, self.receipt(c), c.signed_by) for c in claims]
        return self.both(lambda: self.model.settle_many(items, self.at), "settleMany", words, sender=sender)

    def release(self, terms: LeaseTerms, sender: str = "provider") -> list[MarketEvent]:
        return self.both(
            lambda: self.model.release(party(sender), terms, self.at),
            "release",
            words_of(terms),
            sender=sender,
        )

    def terminate(self, terms: LeaseTerms, sender: str = "buyer") -> list[MarketEvent]:
        return self.both(
            lambda: self.model.terminate(party(sender), terms, self.at),
            "terminate",
            words_of(terms),
            sender=sender,
        )

    def close(self, terms: LeaseTerms, sender: str = "stranger") -> list[MarketEvent]:
        return self.both(lambda: self.model.close(terms, self.at), "close", words_of(terms), sender=sender)

    def close_many(self, items: Sequence[LeaseTerms], sender: str = "stranger") -> list[MarketEvent]:
        return self.both(
            lambda: self.model.close_many(items, self.at),
            "closeMany",
            [words_of(terms) for terms in items],
            sender=sender,
        )

    # Claims.

    def claim(self, terms: LeaseTerms, milliseconds: int, sender: str = "provider") -> list[MarketEvent]:
        return self.both(
            lambda: self.model.claim(party(sender), terms, milliseconds, self.at),
            "claim",
            words_of(terms),
            milliseconds,
            sender=sender,
        )

    def contest(self, terms: LeaseTerms, sender: str = "buyer") -> list[MarketEvent]:
        return self.both(
            lambda: self.model.contest(party(sender), terms, self.at),
            "contest",
            words_of(terms),
            sender=sender,
        )

    def decide(self, terms: LeaseTerms, paid: int, slash: int, sender: str = "arbiter") -> list[MarketEvent]:
        return self.both(
            lambda: self.model.decide(party(sender), terms, paid, slash, self.at),
            "decide",
            words_of(terms),
            paid,
            slash,
            sender=sender,
        )

    def finalize(self, terms: LeaseTerms, sender: str = "stranger") -> list[MarketEvent]:
        return self.both(
            lambda: self.model.finalize(terms, self.at), "finalize", words_of(terms), sender=sender
        )

    # The jury.

    def commit(self, terms: LeaseTerms, result: Digest, salt: Digest, sender: str) -> list[MarketEvent]:
        commitment = self.chain.commitment(terms, result, salt)
        return self.both(
            lambda: self.model.commit_result(party(sender), terms, commitment, self.at),
            "commit",
            words_of(terms),
            commitment,
            sender=sender,
            on="jury",
        )

    def reveal(
        self, bid: Bid, terms: LeaseTerms, result: Digest, salt: Digest, sender: str
    ) -> list[MarketEvent]:
        committed = self.model.state.commitments.get(self.chain.lease_id(terms))
        opens = committed == self.chain.commitment(terms, result, salt)
        shown = Revelation(bid_id=self.chain.bid_id(bid), bid=bid, result=result, opens=opens)
        return self.both(
            lambda: self.model.reveal_result(party(sender), terms, shown, self.at),
            "reveal",
            words_of(bid),
            words_of(terms),
            result,
            salt,
            sender=sender,
            on="jury",
        )

    def decide_replicas(
        self, bid: Bid, members: Sequence[LeaseTerms], sender: str = "stranger"
    ) -> list[MarketEvent]:
        return self.both(
            lambda: self.model.decide_replicas(self.chain.bid_id(bid), bid, members, self.at),
            "decide",
            words_of(bid),
            [words_of(terms) for terms in members],
            sender=sender,
            on="jury",
        )
