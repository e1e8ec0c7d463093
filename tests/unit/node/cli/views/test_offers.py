"""An offer's figures are shown and can be asked for."""

from typing import Any

import pytest

from ledger.market.errors import Rejected
from ledger.market.offer_document import OfferDocument, OfferedDevices
from ledger.market.wire import offer_to_plain
from node.cli.reading.job_goods import parse_floor
from node.cli.views.offers import Wish, cells, offer_row
from tests.factories import an_offer

LENT = OfferedDevices(
    vendor="nvidia",
    model="Big GPU",
    count=7,
    memory=9_984,
    profile="1g.10gb",
    capability=(("bf16", 120_500), ("memory-bandwidth", 400_000)),
)


def a_row(lent: OfferedDevices | None = LENT) -> dict[str, Any]:
    document = OfferDocument(name="o", domain="lab/berlin", region="local", accelerators=lent)
    shown = {"id": "0x12", "offer": offer_to_plain(an_offer()), "used": "0", "reputation": 700, "live": True}
    return offer_row(shown | {"document": document.to_plain()}, 6)


def test_what_the_devices_are_and_do_is_shown_with_who_says_it() -> None:
    free = cells(a_row())[3].splitlines()
    assert free[-2:] == ["Big GPU MIG 1g.10gb", "bf16 120.5T, memory-bandwidth 400GB/s (claimed)"]
    assert len(cells(a_row(None))[3].splitlines()) == 3


@pytest.mark.parametrize(
    ("met", "unmet"),
    [
        ({"models": ("other", "big  gpu")}, {"models": ("other",)}),
        ({"profile": "1G.10GB"}, {"profile": "2g.20gb"}),
        ({"floors": (parse_floor("bf16=120.5T"),)}, {"floors": (parse_floor("bf16=121T"),)}),
        ({"vendor": "cpu"}, {"vendor": "nvidia"}),
        ({"min_reputation": 700}, {"min_reputation": 701}),
        ({"live": True}, {"floors": (parse_floor("fp8=1G"),)}),
    ],
)
def test_an_offer_is_found_by_what_it_has(met: dict[str, Any], unmet: dict[str, Any]) -> None:
    assert Wish(**met).meets(a_row())
    assert not Wish(**unmet).meets(a_row())
    assert Wish().meets(a_row(None))


@pytest.mark.parametrize("text", ["bf16", "bf16=", "bf61=3T", "bf16=-1T", "memory-bandwidth=1T"])
def test_a_floor_that_is_none_is_refused(text: str) -> None:
    assert parse_floor("memory-bandwidth=1TB/s") == ("memory-bandwidth", 1_000_000)
    with pytest.raises(Rejected):
        parse_floor(text)
