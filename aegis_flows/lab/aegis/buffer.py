import os
from pathlib import Path

from aegis_flows.lab.aegis.events import Batch


def write(folder: Path | None, batch: Batch) -> None:
    """Puts the batch at `<folder>/<its key>`, whole or not at all, and on disk when it returns; raises OSError.

    A `.tmp` file that a crash leaves behind holds nothing that counts.
    """
    if folder is None:
        raise NotADirectoryError("AUDIT_FALLBACK_DIR is not set")
    path = folder / batch.key
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
        file.write(batch.body)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Makes the new name itself durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
