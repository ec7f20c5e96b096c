"""Where finished folders go: which places are free, and how one gets there as a whole."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from summand.model.errors import ModelError

__all__ = ["check_place", "put_in_place"]


def check_place(path: Path, replaceable: Callable[[Path], bool], other: str) -> None:
    """Refuse a place where a folder may not be written.

    Parameters
    ----------
    path : Path
        Good are free places, empty folders and those that are ``replaceable``.
    replaceable : callable
        Whether a folder that is not empty may be replaced.
    other : str
        What a folder that may not be is called.

    Raises
    ------
    ModelError
        If something else is there.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError:  # libraries that write there take nothing else
        raise ModelError(f"{str(path)!r} must be a name in UTF-8; give another") from None
    if path.is_dir():
        if any(path.iterdir()) and not replaceable(path):
            raise ModelError(
                f"{path} holds something that is {other}, and is left as it is; "
                f"give another folder, or empty it"
            )
    elif path.exists() or path.is_symlink():
        raise ModelError(f"{path} is not a folder; give another name")


def put_in_place(folder: Path, path: Path) -> None:
    """Rename a finished folder to its destination beside it, whose old contents go last."""
    folder.chmod(0o755)
    if not path.exists():
        folder.rename(path)
        return
    with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as old:
        kept = Path(old) / "replaced"
        path.rename(kept)
        try:
            folder.rename(path)
        except OSError:
            kept.rename(path)
            raise
