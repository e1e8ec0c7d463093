"""Strict reading: whatever is not understood is refused, with a hint."""

import pytest

from ledger.market.errors import Rejected
from ledger.market.plain import Reader


def refused(value: object, key: str, kind: type) -> Rejected:
    with pytest.raises(Rejected) as caught:
        Reader(value, "job").get(key, kind)
    return caught.value


def test_a_value_of_its_kind_is_read_and_a_default_stands_in() -> None:
    read = Reader({"cpu": 5, "names": ["a"]}, "job")
    assert read.get("cpu", int) == 5
    assert read.get("gpu", int, 0) == 0
    assert read.texts("names") == ("a",)
    assert read.texts("more") == ()
    read.done()


def test_a_missing_key_is_named() -> None:
    assert refused({}, "cpu", int).code == "missing-key"
    with pytest.raises(Rejected):
        Reader({}, "job").texts("command", required=True)


@pytest.mark.parametrize("value", ["5", 5.0, True, None, [5]])
def test_a_value_of_another_kind_is_refused(value: object) -> None:
    error = refused({"cpu": value}, "cpu", int)
    assert error.code == "wrong-type"
    assert error.facts == {"key": "job.cpu"}


def test_a_list_of_something_else_is_no_list_of_texts() -> None:
    with pytest.raises(Rejected, match="other than text"):
        Reader({"command": ["ls", 1]}, "job").texts("command")


def test_an_unknown_key_gets_the_nearest_known_one() -> None:
    read = Reader({"memroy": 5}, "job")
    read.get("memory", int, 0)
    with pytest.raises(Rejected, match="Did you mean 'memory'") as caught:
        read.done()
    assert caught.value.code == "unknown-key"


@pytest.mark.parametrize("key", ["zzz", 7])
def test_an_unknown_key_without_a_neighbour_gets_the_list(key: object) -> None:
    read = Reader({key: 5}, "job")
    read.get("memory", int, 0)
    with pytest.raises(Rejected, match="Known keys: memory"):
        read.done()


@pytest.mark.parametrize("value", [None, [], "text", 5])
def test_what_is_no_mapping_is_refused(value: object) -> None:
    with pytest.raises(Rejected, match="not a mapping"):
        Reader(value, "job")
