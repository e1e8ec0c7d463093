"""The log of a process that stays: one line an event, on stderr."""

import logging


def to_stderr() -> None:
    """Show what our own modules say from INFO on, and libraries' warnings."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    for package in ("ledger", "node", "provider_agent"):
        logging.getLogger(package).setLevel(logging.INFO)
