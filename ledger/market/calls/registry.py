"""Offers, epochs, nonces and delegates: what an account says beforehand, and how it takes it back."""

from collections.abc import Sequence

from ledger.market.calls.market import NONCE_WORDS, Market, require
from ledger.market.delegation import Role
from ledger.market.events import (
    DelegateSet,
    EpochBumped,
    MarketEvent,
    NoncesCancelled,
    OfferCancelled,
    OfferRegistered,
)
from ledger.market.identity import NOBODY, Address, OfferId
from ledger.market.offer import Offer
from ledger.market.reasons import SkipReason
from ledger.market.resource import Quantities

EVERY_ROLE = Role.SPEND | Role.OPERATE


def sound_quantities(lanes: Quantities) -> bool:
    """Whether a word of quantities asks for something, and for nothing that has no meaning."""
    return lanes.reserved == 0 and lanes != Quantities()


def sound_offer(offer: Offer) -> bool:
    """Whether the contract takes an offer with these fields; ranges are the type's own business."""
    one_vendor = offer.traits.vendors.bit_count() == 1
    one_region = offer.traits.regions.bit_count() == 1
    priced = offer.ask.reserved == 0
    return (
        sound_quantities(offer.capacity) and priced and one_vendor and one_region and offer.provider != NOBODY
    )


class RegistryCalls(Market):
    """Calls that put something on the market or take it off."""

    __slots__ = ()

    def register_offer(self, caller: Address, offer_id: OfferId, offer: Offer, at: int) -> list[MarketEvent]:
        return self.register_offers(caller, [(offer_id, offer)], at)

    def register_offers(
        self, caller: Address, offers: Sequence[tuple[OfferId, Offer]], at: int
    ) -> list[MarketEvent]:
        """All of one caller, or none: a bad one refuses the call."""
        self._not_paused(at)
        known = set(self.state.offers)
        for offer_id, offer in offers:
            self._require_registrable(caller, offer, at)
            require(offer_id not in known, "offer-known", "The offer was registered before.")
            known.add(offer_id)
        return [
            event
            for offer_id, offer in offers
            for event in self._log(OfferRegistered(id=offer_id, offer=offer))
        ]

    def _require_registrable(self, caller: Address, offer: Offer, at: int) -> None:
        allowed = self.may(caller, offer.provider, Role.OPERATE, at)
        require(allowed, "not-the-provider", "The caller is neither the provider nor its operator.")
        require(sound_offer(offer), "offer-field", "The offer has a field out of range.")
        require(offer.valid_until > at, "offer-expired", "The offer's validity has passed.")
        current = offer.epoch == self.state.epochs.get(offer.provider, 0)
        require(current, "offer-epoch", "The offer is not of the provider's epoch.")

    def cancel_offer(
        self, caller: Address, offer_id: OfferId, offer: Offer, at: int = 0
    ) -> list[MarketEvent]:
        allowed = self.may(caller, offer.provider, Role.OPERATE, at)
        require(allowed, "not-the-provider", "The caller is neither the provider nor its operator.")
        standing = offer_id in self.state.offers and offer_id not in self.state.cancelled
        require(standing, "offer-not-open", "The offer is unknown or cancelled.")
        return self._log(OfferCancelled(id=offer_id, provider=offer.provider))

    def check_standing(self, offer_id: OfferId, offer: Offer) -> SkipReason:
        """Why nothing may open on this offer."""
        if offer_id not in self.state.offers:
            return SkipReason.OFFER_UNKNOWN if sound_offer(offer) else SkipReason.OFFER_FIELD
        if offer_id in self.state.cancelled:
            return SkipReason.OFFER_CANCELLED
        if offer.epoch != self.state.epochs.get(offer.provider, 0):
            return SkipReason.OFFER_EPOCH
        return SkipReason.NONE

    def bump_epoch(self, caller: Address) -> list[MarketEvent]:
        epoch = self.state.epochs.get(caller, 0) + 1
        return self._log(EpochBumped(account=caller, epoch=epoch))

    def cancel_nonces(self, caller: Address, word: int, mask: int) -> list[MarketEvent]:
        require(word < NONCE_WORDS, "no-such-nonces", "Nonces have 64 bits.")
        return self._log(NoncesCancelled(account=caller, word=word, mask=mask))

    def set_delegate(
        self, caller: Address, key: Address, roles: int, allowance: int, until: int
    ) -> list[MarketEvent]:
        """Roles 0 revoke; the numbers come as the call's words, whatever they are."""
        require(key not in (NOBODY, caller), "delegate-key", "The key is nobody's, or the caller itself.")
        require(roles <= EVERY_ROLE, "delegate-roles", "There is no such role.")
        in_range = allowance < 1 << 128 and until < 1 << 40
        require(in_range, "delegate-range", "The allowance or the date is out of range.")
        revoked_whole = roles != 0 or (allowance == 0 and until == 0)
        require(revoked_whole, "delegate-revoked", "A revoked key has neither allowance nor date.")
        return self._log(DelegateSet(account=caller, key=key, roles=roles, allowance=allowance, until=until))
