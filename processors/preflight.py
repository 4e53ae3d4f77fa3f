"""Preflight: look at every file before the first event is processed."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import uproot

from analysis.datasets import Dataset
from analysis.errors import InputError
from processors.columns import find_columns

if TYPE_CHECKING:
    # Not at run time: workers have no use for the manifest, and its sections are slow to import.
    from analysis.manifest import Manifest

#: Files looked at at the same time: most of it is waiting for disks and networks.
THREADS = 8


@dataclass(frozen=True)
class InputFile:
    """A file that can be processed.

    Attributes:
        dataset: Name of its dataset.
        path: Path or URL.
        tree: Name of the tree.
        entries: Entries in the tree.
        columns: Branch of each column.
        stem: Name for what is made of it, unique in its dataset.
    """

    dataset: str
    path: str
    tree: str
    entries: int
    columns: dict[str, str] = field(hash=False)
    stem: str


def preflight(manifest: "Manifest") -> list[InputFile]:
    """Check all input files, and count their entries.

    Args:
        manifest: Which files there are, and what is expected of them.

    Returns:
        All files, in the order of the manifest.

    Raises:
        InputError: For the first file that is not what the manifest says.
    """
    todo = [
        (dataset, path, stem)
        for dataset in manifest.datasets.values()
        for path, stem in _stems(dataset.resolved_files()).items()
    ]
    with ThreadPoolExecutor(THREADS) as pool:
        files = list(pool.map(lambda one: _inspect(*one), todo))
    for dataset in manifest.datasets.values():
        _check_dataset(dataset, [file for file in files if file.dataset == dataset.name])
    return files


def _inspect(dataset: Dataset, path: str, stem: str) -> InputFile:
    """Look into one file.

    Args:
        dataset: Its dataset.
        path: Path or URL.
        stem: Name for what is made of it.

    Raises:
        InputError: If it is not a whole ROOT file with the tree and the branches.
    """
    name = f"Dataset {dataset.name}: {path}"
    if "://" not in path and Path(path).exists() and Path(path).stat().st_size == 0:
        raise InputError(f"{name} is empty (0 bytes); make or fetch it again.")
    try:
        file = uproot.open(path)
    except FileNotFoundError:
        raise InputError(f"{name} is not there; check `files` in the manifest.") from None
    except Exception as error:
        if "not a ROOT file" in str(error):
            raise InputError(f"{name} is not a ROOT file; check `files` in the manifest.") from None
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(
            f"{name} cannot be opened: it is truncated, damaged or out of reach ({reason})."
        ) from error
    with file:
        size = file.file.source.num_bytes
        if size is not None and file.file.fEND > size:
            raise InputError(
                f"{name} is truncated: it has {size} bytes of {file.file.fEND}; make or fetch it "
                "again."
            )
        tree = _tree(file, dataset, path)
        columns = find_columns(dataset, path, tree.typenames())
        entries = int(tree.num_entries)
        return InputFile(dataset.name, path, dataset.tree, entries, columns, stem)


def _tree(file: Any, dataset: Dataset, path: str) -> Any:
    """Get the tree out of an open file.

    Raises:
        InputError: If there is none of that name; the sentence lists those there are.
    """
    trees = file.keys(
        cycle=False, filter_classname=lambda name: name in {"TTree", "TNtuple", "ROOT::RNTuple"}
    )
    if dataset.tree in trees:
        return file[dataset.tree]
    there = f"it has {', '.join(sorted(set(trees)))}" if trees else "it has no tree at all"
    raise InputError(
        f"Dataset {dataset.name}: {path} has no tree {dataset.tree}; {there}; set `tree` in the "
        "manifest."
    )


def _stems(paths: Sequence[str]) -> dict[str, str]:
    """Names of files without folders and suffix, numbered where several have the same.

    Files of different grid jobs are often called the same in different folders.

    Args:
        paths: All files of a dataset.

    Returns:
        A name, unique among them, for every path.
    """
    stems = [PurePosixPath(path).stem for path in paths]
    return {
        path: stem if stems.count(stem) == 1 else f"{stem}.{number}"
        for number, (path, stem) in enumerate(zip(paths, stems, strict=True))
    }


def _check_dataset(dataset: Dataset, files: Sequence[InputFile]) -> None:
    """Compare the files of a dataset with each other and with what the manifest expects.

    Raises:
        InputError: If entries are missing, or not all files have the same optional columns.
    """
    for file in files:
        differing = sorted(file.columns.keys() ^ files[0].columns.keys())
        if differing:
            raise InputError(
                f"Dataset {dataset.name}: only one of {files[0].path} and {file.path} has the "
                f"columns {', '.join(differing)}; all files of a dataset must have the same."
            )
        expected = expected_entries(dataset, file)
        if expected is not None and expected != file.entries:
            raise InputError(
                f"Dataset {dataset.name}: {file.path} has {file.entries} entries, but the manifest "
                f"expects {expected}; fetch the whole file, or correct `entries`."
            )
    total = sum(file.entries for file in files)
    if isinstance(dataset.entries, int) and total != dataset.entries:
        raise InputError(
            f"Dataset {dataset.name}: its files have {total} entries, but the manifest expects "
            f"{dataset.entries}; find the missing files, or correct `entries`."
        )
    if total == 0:
        raise InputError(
            f"Dataset {dataset.name}: there is not a single entry in its files; leave it out of "
            "the manifest, or give it files with events."
        )


def expected_entries(dataset: Dataset, file: InputFile) -> int | None:
    """Entries that the manifest expects in a file, None where it says nothing about it."""
    if not isinstance(dataset.entries, dict):
        return None
    name = PurePosixPath(file.path).name
    return dataset.entries.get(file.path, dataset.entries.get(name))
