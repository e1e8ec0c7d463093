"""How the demo can fail; apart, so that catching a failure imports nothing heavy."""


class DidNotStart(Exception):
    """A process of the grid ended, or did not answer in time; the text holds the end of its log."""


class WentWrong(Exception):
    """A purchase did not go as the demo promises; the text says how."""
