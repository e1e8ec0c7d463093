from pathlib import Path

import pytest

from ledger.market.errors import Rejected
from node.instance import only_instance


def test_a_directory_serves_one_node_at_a_time(tmp_path: Path) -> None:
    with only_instance(tmp_path):
        with pytest.raises(Rejected) as caught, only_instance(tmp_path):
            pass
        assert caught.value.code == "node-already-running"
    with only_instance(tmp_path):
        pass
