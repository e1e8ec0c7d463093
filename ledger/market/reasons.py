"""Why the contract skipped one item of a batch; the numbers are the contract's, to the letter."""

from enum import IntEnum


class SkipReason(IntEnum):
    """Reason codes of `BidSkipped` (below 40) and `ReceiptSkipped` (from 40); 0 means it took effect."""

    NONE = 0
    OFFER_UNKNOWN = 1
    OFFER_CANCELLED = 2
    OFFER_EPOCH = 3
    OFFER_EXPIRES = 4
    DURATION = 5
    CAPACITY = 6
    TRAITS = 7
    BELOW_ASK = 8
    ABOVE_LIMIT = 9
    OVER_ASK = 10
    BID_FIELD = 11
    FLAGS = 12
    MEMBERS = 13
    CONTINUES = 14
    BID_EXPIRED = 15
    START_BY = 16
    BID_EPOCH = 17
    NONCE_USED = 18
    MATCHER = 19
    PROVIDER = 20
    SELF_TRADE = 21
    SIGNATURE = 22
    FUNDS = 23
    OFFER_FIELD = 24
    STAKE = 25
    DELEGATE = 26
    DISTINCT = 27

    LEASE_UNKNOWN = 40
    RECEIPT_SIGNATURE = 41
    NOT_MONOTONE = 42
    BEYOND_ELAPSED = 43
    BEYOND_DURATION = 44
    BEYOND_TERMINATION = 45
    RECEIPT_FIELD = 46
    NOT_YET = 47
    CLAIMED = 48
    UNDECIDED = 49
