"""The release, as the installed distribution says it; a bare checkout has none."""

from importlib.metadata import PackageNotFoundError, version


def _installed() -> str:
    try:
        return version("bingwang")
    except PackageNotFoundError:
        return "0.0.0"


VERSION = _installed()
