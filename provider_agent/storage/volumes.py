"""Chooses how a lease's files are kept: by what this process may do, and says what that means."""

import os
import shutil
from pathlib import Path

from provider_agent.runtimes.engine import Engine
from provider_agent.storage.base import Volumes
from provider_agent.storage.loop import LoopVolumes
from provider_agent.storage.named import NamedVolumes


def choose_volumes(root: Path, engine: Engine, *, agent: str) -> Volumes:
    """Hard volumes below `root` for root on a host with ext4's tools, else soft ones of the engine.

    A remote engine (not a unix socket) cannot bind a directory of this host, so it gets soft ones.
    """
    local = engine.url.startswith("unix://")
    if os.geteuid() == 0 and local and shutil.which("mkfs.ext4") and Path("/dev/loop-control").exists():
        return LoopVolumes(root)
    return NamedVolumes(engine, agent=agent)
