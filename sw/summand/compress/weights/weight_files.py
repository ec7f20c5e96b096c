"""Which files of a Hugging Face folder hold its weights: those that transformers reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from summand.compress.errors import CompressError
from summand.model import ModelError
from summand.model.limits import Stored
from summand.model.reading import check_size, read_json

__all__ = ["WeightFiles", "find_weight_files"]

_SINGLE, _INDEX = "model.safetensors", "model.safetensors.index.json"

#: Files that hold weights, or say where weights are.
_WEIGHTS = ("*.safetensors", "*.safetensors.index.json", "pytorch_model*.bin")


def find_weight_files(folder: Path) -> tuple[Path, ...]:
    """Return the safetensors files that transformers reads, by name.

    That is the file that ``transformers_weights`` of ``config.json`` names, else
    ``model.safetensors``, else the files that ``model.safetensors.index.json`` names.

    Raises
    ------
    CompressError
        If there are none, if the index is damaged, or if the folder is an adapter's.
    """
    if (folder / "adapter_config.json").exists():
        raise CompressError(
            f"{folder} has an adapter_config.json: its weights are those of another model and an "
            f"adapter; merge them (merge_and_unload() of peft) and give the merged model"
        )
    name = _stated(folder) or _SINGLE
    if name == _SINGLE and not (folder / name).is_file():
        name = _INDEX
    if not (folder / name).is_file():
        there = sorted(p.name for p in folder.glob("*.safetensors"))
        others = f"; it has {', '.join(there[:3])}, which transformers does not read" * bool(there)
        raise CompressError(
            f"{folder} has no {_SINGLE} and no {_INDEX}{others}; save the model again with "
            f"save_pretrained(safe_serialization=True)"
        )
    return _of_index(folder / name) if name.endswith(".index.json") else (folder / name,)


def _stated(folder: Path) -> str | None:
    path = folder / "config.json"
    try:
        raw: Any = read_json(path)
        name = raw.get("transformers_weights")
    except (OSError, ModelError, AttributeError) as e:
        raise CompressError(f"{path} cannot be read: {e}; download it again") from None
    if name is None:
        return None
    if not _is_plain(name) or not name.endswith((".safetensors", ".safetensors.index.json")):
        raise CompressError(
            f"{path}: transformers_weights must name a .safetensors file of the folder or its "
            f"index, not {name!r}"
        )
    return name


def _is_plain(name: object) -> bool:
    """Whether this is the name of a file in the folder itself."""
    return isinstance(name, str) and Path(name).name == name and "\0" not in name


def _of_index(index: Path) -> tuple[Path, ...]:
    try:
        placed: Any = read_json(index)["weight_map"]
        names = sorted(set(placed.values()))
    except (OSError, ModelError, KeyError, AttributeError, TypeError):
        raise CompressError(f"{index} is damaged; download it again") from None
    if not names or not all(map(_is_plain, names)):
        raise CompressError(f"{index} must name files of its own folder; download it again")
    if lost := [name for name in names if not (index.parent / name).is_file()]:
        raise CompressError(
            f"{index} names {lost[0]}, which is not there ({len(lost)} of {len(names)} files are "
            f"missing); download it again"
        )
    return tuple(index.parent / name for name in names)


@dataclass(frozen=True)
class WeightFiles:
    """The tensors of a folder.

    Parameters
    ----------
    files : tuple of Path
        What is read.
    places : mapping
        The file of each tensor.
    integers : frozenset of str
        Tensors of whole numbers.
    stored : Stored
        How much they hold.
    aside : tuple of str
        Names of the folder's other files of weights, which are not read.
    """

    files: tuple[Path, ...]
    places: Mapping[str, Path]
    integers: frozenset[str]
    stored: Stored
    aside: tuple[str, ...]

    @classmethod
    def of(cls, folder: Path) -> "WeightFiles":
        """Look into a folder's files; reads their headers only.

        Raises
        ------
        CompressError
            If there are none, if one is damaged, or if two hold a tensor of the same name.
        """
        from safetensors import SafetensorError, safe_open

        files = find_weight_files(folder)
        places: dict[str, Path] = {}
        integers: set[str] = set()
        size = 0
        for path in files:
            try:
                size += check_size(path)
                with safe_open(path, framework="pt") as file:
                    names = list(file.keys())
                    integers |= {n for n in names if file.get_slice(n).get_dtype()[0] in "IU"}
            except (OSError, SafetensorError) as e:
                raise CompressError(f"{path} cannot be read: {e}; download it again") from None
            if twice := sorted(places.keys() & set(names)):
                raise CompressError(
                    f"tensor {twice[0]} is in {places[twice[0]].name} and in {path.name} of "
                    f"{folder}; download the model again"
                )
            places |= dict.fromkeys(names, path)
        named = {path.name for path in files}
        if named != {_SINGLE}:
            named.add(_INDEX)
        there = {path.name for kind in _WEIGHTS for path in folder.glob(kind)}
        stored = Stored.in_bytes(len(places), size)
        return cls(files, places, frozenset(integers), stored, tuple(sorted(there - named)))

    @property
    def note(self) -> str | None:
        """A sentence for the user about what is left aside."""
        if not self.aside:
            return None
        read = self.files[0].name
        more = f" and {len(self.files) - 1} more" if len(self.files) > 1 else ""
        return (
            f"weights are read from {read}{more}, as transformers does; left aside: "
            f"{', '.join(self.aside[:5])}"
            + (f" and {len(self.aside) - 5} more" if len(self.aside) > 5 else "")
        )
