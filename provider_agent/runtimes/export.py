"""An image of this machine's engine as an archive file, so that a buyer can bring it to a node."""

from pathlib import Path
from typing import Any

from ledger.market.errors import Unavailable
from provider_agent.runtimes.engine import Engine


def image_config(engine: Engine, reference: str) -> str:
    """The engine's id of an image; `Rejected("image-not-found")` where it does not know it."""
    with engine.api("image") as api:
        found: dict[str, Any] = api.inspect_image(reference)  # type: ignore[no-untyped-call]  # the stubs lack it
        return str(found["Id"])


def save_image(engine: Engine, reference: str, path: Path) -> None:
    """Write the archive that `docker save` makes; the file appears when it is whole."""
    partial = path.with_name(f".{path.name}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    with engine.api("image") as api:
        pieces = api.get_image(reference)
        try:
            with partial.open("wb") as file:
                file.writelines(pieces)
        except OSError as exc:
            partial.unlink(missing_ok=True)
            raise Unavailable(
                "image-save", f"{path} cannot be written: {exc.strerror}.", "Free space on the disk."
            ) from exc
    partial.replace(path)
