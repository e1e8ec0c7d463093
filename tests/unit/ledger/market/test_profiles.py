"""A profile is written as NVIDIA writes it."""

import pytest

from ledger.market.errors import Rejected
from ledger.market.profiles import check_profile


@pytest.mark.parametrize("profile", ["", "1g.5gb", "1g.10gb+me", "3g.40gb", "7g.141gb", "1g.24gb+gfx"])
def test_a_profile_is_slices_and_gigabytes(profile: str) -> None:
    assert check_profile(profile) == profile


@pytest.mark.parametrize(
    "profile", ["big", "1g", "0g.5gb", "9g.5gb", "1g.0gb", "1G.5GB", "1g.5gb ", "1c.2g.5gb"]
)
def test_anything_else_is_refused(profile: str) -> None:
    with pytest.raises(Rejected):
        check_profile(profile)
