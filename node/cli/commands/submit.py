"""Commands that buy: `submit job.yaml` and `run IMAGE -- COMMAND`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from node.cli.options import Behalf, EngineUrl, Json, PasswordFile, Wallet

if TYPE_CHECKING:
    from node.buying.draft import JobDraft

DryRun = Annotated[bool, typer.Option("--dry-run", help="Show price and offers; sign and send nothing.")]
Attach = Annotated[bool, typer.Option("--attach", help="Follow it, and agree to its usage with my own key.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait for its end.")]
Envs = Annotated[list[str] | None, typer.Option("--env", help="KEY=VALUE for the job.")]


def register(app: typer.Typer) -> None:
    app.command()(submit)
    app.command()(run)


def submit(
    job_file: Annotated[Path, typer.Argument(help="YAML file of the job.", metavar="JOB.YAML")],
    dry_run: DryRun = False,
    attach: Attach = False,
    wait: Wait = False,
    env: Envs = None,
    wallet: Wallet = "default",
    password_file: PasswordFile = None,
    engine: EngineUrl = None,
    behalf: Behalf = None,
    as_json: Json = False,
) -> int:
    """Buy what a job file describes. Without --wait or --attach it is done once accepted."""
    from node.cli.purchase import Choice, buy, read_source
    from node.cli.reading.job_file import parse_job_file
    from node.cli.session import Session

    with Session(wallet=wallet, password_file=password_file, engine_url=engine, behalf=behalf) as session:
        draft = parse_job_file(read_source(job_file), session.profile.decimals, str(job_file))
        draft = draft.with_envs(tuple(env or ()))
        choice = Choice(dry_run=dry_run, attach=attach, wait=wait, as_json=as_json)
        return buy(session, draft, job_file.parent, choice)


def run(
    image: Annotated[str, typer.Argument(help="Archive file, config digest, or an engine's image.")],
    command: Annotated[list[str], typer.Argument(help="The command, after --.")],
    cpus: Annotated[str, typer.Option(help="Cores, such as 2 or 500m.")] = "1",
    memory: Annotated[str, typer.Option(help="Memory, such as 2GiB.")] = "1GiB",
    disk: Annotated[str, typer.Option(help="Disk, such as 4GiB.")] = "1GiB",
    max_price: Annotated[str, typer.Option(help="Highest price, such as 0.50/h.")] = "1/h",
    max_duration: Annotated[str, typer.Option(help="Longest time, such as 30m.")] = "30m",
    inputs: Annotated[list[Path] | None, typer.Option("--input", help="File for the job's in/.")] = None,
    outputs: Annotated[list[str] | None, typer.Option("--output", help="File below the job's out/.")] = None,
    env: Envs = None,
    name: Annotated[str, typer.Option(help="Name of the job.")] = "run",
    dry_run: DryRun = False,
    attach: Attach = False,
    wait: Wait = False,
    wallet: Wallet = "default",
    password_file: PasswordFile = None,
    engine: EngineUrl = None,
    behalf: Behalf = None,
    as_json: Json = False,
) -> int:
    """Buy one command in an image."""
    from node.cli.purchase import Choice, buy
    from node.cli.session import Session

    with Session(wallet=wallet, password_file=password_file, engine_url=engine, behalf=behalf) as session:
        sizes = (cpus, memory, disk)
        limits = (max_price, max_duration)
        draft = _draft(image, tuple(command), sizes, limits, session.profile.decimals)
        draft = _with_files(draft, name, inputs or [], outputs or []).with_envs(tuple(env or ()))
        choice = Choice(dry_run=dry_run, attach=attach, wait=wait, as_json=as_json)
        return buy(session, draft, Path.cwd(), choice)


def _draft(
    image: str,
    command: tuple[str, ...],
    sizes: tuple[str, str, str],
    limits: tuple[str, str],
    decimals: int,
) -> "JobDraft":
    from node.buying.draft import JobDraft
    from node.cli.reading.amounts import parse_price
    from node.cli.reading.job_file import image_source
    from node.cli.reading.quantities import parse_milli, parse_size, parse_time

    return JobDraft(
        name="run",
        image=image_source(image),
        command=command,
        cpu=parse_milli(sizes[0]),
        memory=parse_size(sizes[1]),
        disk=parse_size(sizes[2]),
        max_rate=parse_price(limits[0], decimals),
        max_seconds=parse_time(limits[1]),
    )


def _with_files(draft: "JobDraft", name: str, inputs: list[Path], outputs: list[str]) -> "JobDraft":
    from dataclasses import replace

    from node.cli.reading.job_file import local_input, output_path

    return replace(
        draft,
        name=name,
        local_inputs=tuple(local_input(str(path)) for path in inputs),
        outputs=tuple(output_path(path) for path in outputs),
    )
