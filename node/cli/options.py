"""Options that many commands share, declared once so that they read the same everywhere."""

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, nothing else.")]
Wallet = Annotated[str, typer.Option("--wallet", help="Name of the wallet.")]
PasswordFile = Annotated[
    Path | None,
    typer.Option("--password-file", help="File whose first line is the wallet's password."),
]
SignerUrl = Annotated[
    str | None,
    typer.Option("--signer", help="JSON-RPC of an external signer (Web3Signer) that holds the key."),
]
SignerAccount = Annotated[
    str | None, typer.Option("--signer-account", help="With --signer: its account.", metavar="0x…")
]
NodeUrl = Annotated[str | None, typer.Option("--node", help="Node's address, instead of the profile's.")]
RpcUrl = Annotated[str | None, typer.Option("--rpc", help="Chain's JSON-RPC URL, instead of the profile's.")]
JobId = Annotated[str, typer.Argument(help="Job id, or its unique beginning.", metavar="JOB")]
Folder = Annotated[Path, typer.Argument(help="Folder for the files; made if missing.", metavar="DIR")]
EngineUrl = Annotated[
    str | None, typer.Option("--engine", help="Docker engine's URL, instead of the environment's.")
]
Behalf = Annotated[
    str | None,
    typer.Option("--for", help="Account to spend for, whose delegate the wallet is.", metavar="0x…"),
]
