"""How a job names its image: by the config digest that its bid binds, and by an archive at the node."""

from collections.abc import Callable
from pathlib import Path

from ledger.market.errors import Rejected
from ledger.market.job import Image
from node.buying.draft import ArchiveImage, EngineImage, ImageSource
from node.buying.image_archive import read_config_digest
from node.buying.progress import Progress, no_progress
from node.buying.transfers import LocalBlob, read_blob

SaveImage = Callable[[str], Path]
"""The archive file of an image that this machine's engine knows under a reference."""


def no_engine(reference: str) -> Path:
    """For callers without an engine."""
    raise Rejected(
        "no-engine", f"No engine is asked for {reference[:120]}.", "Name an archive file of the image."
    )


def resolve(
    source: ImageSource, folder: Path, save: SaveImage, progress: Progress = no_progress
) -> tuple[Image, tuple[LocalBlob, ...]]:
    """What the job document says of an image, and its archive where it is a file of this machine."""
    match source:
        case Image():
            return source, ()
        case ArchiveImage(path=path):
            return _archived(folder / path, Path(path).name, progress)
        case EngineImage(reference=reference):
            return _archived(save(reference), reference, progress)


def _archived(path: Path, reference: str, progress: Progress) -> tuple[Image, tuple[LocalBlob, ...]]:
    config = read_config_digest(path)
    blob = read_blob(path, progress)
    image = Image(reference=reference, config=config, archive=blob.sha256, archive_bytes=blob.size)
    return image, (blob,)


def image_line(image: Image) -> str:
    """The line for a job file, in YAML's flow form."""
    return (
        f'image: {{reference: "{image.reference}", config: "{image.config}", '
        f'archive: "{image.archive}", archive_bytes: {image.archive_bytes}}}'
    )
