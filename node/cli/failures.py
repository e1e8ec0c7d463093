"""Every way a command can fail, as one cause, one remedy and an exit code; no traceback for bad input.

Exit codes: 0 done, 1 the job failed, 2 usage, 3 rejected, 4 unavailable, 5 broken, 6 lost a race,
130 interrupted.
"""

import os
import traceback
from collections.abc import Sequence

from ledger.market.errors import Broken, MarketError
from node.cli.views.output import console, document, printable

DONE = 0
JOB_FAILED = 1
USAGE = 2
INTERRUPTED = 130
TRACEBACK_VARIABLE = "BINGWANG_TRACEBACK"


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether `--json` was given; what follows `--` belongs to the job."""
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in own


def show(error: MarketError, *, as_json: bool) -> int:
    """Say what is wrong; the exit code."""
    if as_json:
        facts = {key: plain(value) for key, value in error.facts.items()}
        document(
            facts
            | {
                "code": error.code,
                "cause": error.cause,
                "remedy": error.remedy,
                "exit_code": error.exit_code,
            }
        )
    else:
        _lines(error.cause, error.remedy, error.code)
    return error.exit_code


def show_usage(message: str, command: str, *, as_json: bool) -> int:
    """A command line that cannot be read."""
    remedy = f"Run `{command} --help`."
    message = message if message.endswith((".", "?")) else f"{message}."
    if as_json:
        document({"code": "usage", "cause": message, "remedy": remedy, "exit_code": USAGE})
    else:
        _lines(message, remedy, "usage")
    return USAGE


def unforeseen(error: Exception) -> MarketError:
    """A failure that nobody translated, which is a defect of this program."""
    if os.environ.get(TRACEBACK_VARIABLE):
        traceback.print_exception(error)
    kind = type(error).__name__
    return Broken(
        "internal-error",
        f"The program failed in a way it did not foresee ({kind}: {error}).",
        f"Report it; {TRACEBACK_VARIABLE}=1 shows where.",
    )


def plain(value: object) -> object:
    """A fact as JSON can carry it."""
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    return value if isinstance(value, (str, int, bool, type(None))) else str(value)


def _lines(cause: str, remedy: str, code: str) -> None:
    from rich.text import Text

    out = console(stderr=True)
    out.print(Text.assemble(("✗ ", "bold red"), printable(cause), (f"  [{code}]", "dim")), soft_wrap=True)
    out.print(Text.assemble(("  → ", "bold"), printable(remedy)), soft_wrap=True)
