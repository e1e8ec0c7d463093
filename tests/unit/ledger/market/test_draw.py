"""The draw of replicas: repeatable by anybody, and nobody's to influence once the seed is out."""

from hashlib import sha256
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from ledger.market.draw import ranked
from ledger.market.identity import OfferId
from tests import strategies as some
from tests.factories import a_digest

offer_lists = st.lists(some.offer_ids, max_size=6, unique=True)


def test_the_rank_is_the_hash_of_seed_and_offer() -> None:
    offers = [OfferId(a_digest(name)) for name in ("ada", "bob", "cai", "dee")]
    by_hash = sorted(offers, key=lambda offer: sha256(b"seed" + offer).digest())
    assert ranked(b"seed", offers) == by_hash
    assert ranked(b"another", offers) != by_hash


@given(seed=some.digests, offers=offer_lists, draw=st.randoms(use_true_random=False))
def test_the_order_in_which_offers_are_given_is_of_no_effect(
    seed: bytes, offers: list[OfferId], draw: Random
) -> None:
    shuffled = [*offers, *offers]
    draw.shuffle(shuffled)
    assert ranked(seed, shuffled) == ranked(seed, offers)
    assert set(ranked(seed, offers)) == set(offers)


@given(seed=some.digests, offers=offer_lists, newcomer=some.offer_ids)
def test_a_newcomer_changes_nobodys_order_among_the_others(
    seed: bytes, offers: list[OfferId], newcomer: OfferId
) -> None:
    others = [offer for offer in ranked(seed, [*offers, newcomer]) if offer != newcomer]
    assert others == [offer for offer in ranked(seed, offers) if offer != newcomer]
