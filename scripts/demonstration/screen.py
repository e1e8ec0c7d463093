"""The demo's screen: what happens, when it happens, in the words of the market."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from ledger.market.resource import Quantities
from node.cli.reading.amounts import ask_prices, format_amount, format_rate

WIDTH_WITHOUT_TERMINAL = 120


class Screen:
    """Prints with the seconds since the start; `decimals` are the token's."""

    def __init__(self) -> None:
        self.console = Console(highlight=False)
        if not self.console.is_terminal:
            self.console = Console(highlight=False, width=WIDTH_WITHOUT_TERMINAL)
        self.decimals = 6
        self._started = time.monotonic()

    def title(self, text: str) -> None:
        self.console.print()
        self.console.rule(f"[bold]{text}", align="left")

    def say(self, text: str) -> None:
        seconds = time.monotonic() - self._started
        self.console.print(f"[dim]{seconds:6.1f} s[/dim]  {text}")

    def log(self, data: bytes) -> None:
        """A piece of a job's own output, printed as it came, without interpreting it."""
        for line in data.decode(errors="replace").splitlines():
            self.console.print(f"[dim]      log │[/dim] {escape(line)}")

    def detail(self, text: str) -> None:
        """A line that belongs to the one before."""
        self.console.print(f"          {text}", soft_wrap=True)

    @contextmanager
    def progress(self, what: str, steps: int) -> Iterator["Steps"]:
        """A bar for something long, of known steps."""
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total}"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self.console, transient=True) as bar:
            yield Steps(bar, what, steps)

    def amount(self, units: int) -> str:
        return format_amount(units, self.decimals)

    def price(self, rate: int) -> str:
        return format_rate(rate, self.decimals)

    def offers(self, offers: Sequence[dict[str, Any]]) -> None:
        """The standing offers, cheapest core first."""
        table = Table("provider", "domain", "cores", "memory", "disk", "price core/h", "price GiB/h", "offer")
        for entry in sorted(offers, key=lambda one: int(one["offer"]["ask"])):
            offer = entry["offer"]
            capacity, ask = Quantities.unpack(int(offer["capacity"])), Quantities.unpack(int(offer["ask"]))
            prices = ask_prices(ask, self.decimals)
            table.add_row(
                entry["document"]["name"],
                entry["document"]["domain"],
                f"{capacity.cpu / 1000:g}",
                f"{capacity.memory} MiB",
                f"{capacity.disk} MiB {entry['document']['disk_limit']}",
                prices["core"],
                prices["memory_gib"],
                short(entry["id"]),
            )
        self.console.print(table)

    def balances(self, title: str, rows: Sequence[dict[str, str]]) -> None:
        """Of each party: tokens in its wallet, in the market and staked there, and coin."""
        columns = ("party", "address", "in wallet", "in market", "staked", "coin")
        table = Table(*columns, title=title, title_justify="left")
        for row in rows:
            table.add_row(
                row["party"],
                short(row["address"]),
                self.amount(int(row["token"])),
                self.amount(int(row["balance"])),
                self.amount(int(row["stake"])),
                f"{Decimal(row['coin']) / 10**18:.6f}",
            )
        self.console.print(table)


class Steps:
    """The steps of one bar."""

    def __init__(self, bar: Progress, what: str, steps: int) -> None:
        self._bar = bar
        self._task = bar.add_task(what, total=steps)

    def done(self, what: str) -> None:
        self._bar.update(self._task, advance=1, description=what)


def short(name: str) -> str:
    """The beginning of an id, enough to tell it from others on one screen."""
    return f"{name[:10]}…"
