"""Preflight: look at every file before the first event is processed."""

import itertools
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final, TypeVar

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.io.files import checksum
from punzinet.analysis.manifest.datasets import Dataset
from punzinet.processors.datasets import find_columns
from punzinet.processors.ntuples.opening import (
    Unreadable,
    is_remote,
    open_file,
    patiently,
    reason,
    state_of,
)

if TYPE_CHECKING:
    # Not at run time: workers have no use for the manifest, and its sections are slow to import.
    from punzinet.analysis.manifest.manifest import Manifest

T = TypeVar("T")
#: Files looked at at the same time: most of it is waiting for disks and networks.
THREADS = 8
_LONGEST_STEM: Final = 120
"""Longest name of a file that is kept: file systems allow 255 bytes with all that is added."""


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
        uuid: Its UUID, written by ROOT; empty if it has none.
        size: Its size in bytes, -1 for a URL.
        changed: Time of its last change in ns, -1 for a URL.
    """

    dataset: str
    path: str
    tree: str
    entries: int
    columns: dict[str, str] = field(hash=False)
    stem: str
    uuid: str = ""
    size: int = -1
    changed: int = -1

    @property
    def state(self) -> tuple[int, int, str, str, int, str]:
        """What tells it from any other file, and from itself after a change."""
        return self.size, self.changed, self.uuid, self.path, self.entries, self.tree

    @property
    def location(self) -> str:
        """Where a worker finds it that runs in another folder: its absolute path, or its URL."""
        if is_remote(self.path):
            return self.path
        return str(Path(self.path.removeprefix("file://")).absolute())


@dataclass(frozen=True)
class MissingFile:
    """A file that cannot be processed.

    Attributes:
        dataset: Name of its dataset.
        path: Path or URL.
        problem: Why it cannot.
        entries: Entries it should have, None if the manifest does not say.
    """

    dataset: str
    path: str
    problem: str
    entries: int | None


def preflight(manifest: "Manifest") -> list[InputFile]:
    """Check all input files, and count their entries.

    Returns:
        All files, in the order of the manifest.

    Raises:
        InputError: For the first file that is not what the manifest says.
    """
    files, missing = survey(manifest)
    if missing:
        raise InputError(missing[0].problem)
    for dataset in manifest.datasets.values():
        own = [file for file in files if file.dataset == dataset.name]
        check_columns(dataset, own)
        _check_entries(dataset, own)
    return files


def survey(
    manifest: "Manifest", *, must_exist: bool = True
) -> tuple[list[InputFile], list[MissingFile]]:
    """Look at all input files.

    Args:
        manifest: Which files there are.
        must_exist: Whether a file that is named has to be there.

    Returns:
        Those that can be processed and those that cannot, in the order of the manifest.

    Raises:
        InputError: If a pattern matches no file, or a file is there twice.
    """
    further = manifest.search.resolved.columns
    todo = [
        (dataset, path, stem, further)
        for dataset in manifest.datasets.values()
        for path, stem in _stems(dataset.resolved_files(must_exist=must_exist)).items()
    ]
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(lambda one: _look_at(*one), todo))
    files = [file for file in found if isinstance(file, InputFile)]
    _check_copies(files)
    missing = [file for file in found if isinstance(file, MissingFile)]
    for dataset in manifest.datasets.values():
        missing += _not_among(
            dataset, [file.path for file in found if file.dataset == dataset.name]
        )
    return files, missing


def _not_among(dataset: Dataset, paths: Sequence[str]) -> list[MissingFile]:
    """Files that the manifest expects something of, and that match none of its patterns."""
    there = {*paths, *(PurePosixPath(path).name for path in paths)}
    return [
        MissingFile(
            dataset.name,
            name,
            f"Dataset {dataset.name}: the manifest expects a file {name}, which is none of its "
            "`files`; fetch it, or correct `entries` and `checksums`.",
            expected_entries(dataset, name),
        )
        for name in dataset.expected_files
        if name not in there
    ]


def _look_at(
    dataset: Dataset, path: str, stem: str, further: Sequence[str]
) -> InputFile | MissingFile:
    """Look into one file, and say what is wrong with it if anything is."""
    try:
        return patiently(path, lambda: inspect_file(dataset, path, stem, further))
    except InputError as error:
        return MissingFile(dataset.name, path, str(error), expected_entries(dataset, path))


def inspect_file(dataset: Dataset, path: str, stem: str, further: Sequence[str] = ()) -> InputFile:
    """Look into one file.

    Args:
        dataset: Its dataset.
        path: Path or URL.
        stem: Name for what is made of it.
        further: Columns that the search reads besides momenta and beams.

    Raises:
        InputError: If it is not a whole ROOT file with the tree and the branches.
    """
    size, changed = state_of(path)
    _check_sum(dataset, path)
    with open_file(path, dataset.name) as file:
        try:
            tree = _tree(file, dataset, path)
            types = tree.typenames()
            entries = int(tree.num_entries)
            uuid = str(file.file.uuid)
        except InputError:
            raise
        except Exception as error:
            raise Unreadable(
                f"Dataset {dataset.name}: tree {dataset.tree} of {path} cannot be read: it is "
                f"damaged or out of reach ({reason(error)})."
            ) from error
    columns = find_columns(dataset, path, types, further)
    return InputFile(dataset.name, path, dataset.tree, entries, columns, stem, uuid, size, changed)


def _check_sum(dataset: Dataset, path: str) -> None:
    """Compare a file with its checksum, if the manifest has one.

    Raises:
        InputError: If it is another one, or the file is on a server.
    """
    expected = _said_of(path, dataset.checksums)
    if expected is None:
        return
    if is_remote(path):
        raise InputError(
            f"Dataset {dataset.name}: {path} is on a server, and `checksums` are those of files on "
            "disk; leave this one out."
        )
    try:
        found = checksum(Path(path.removeprefix("file://")), expected.partition(":")[0])
    except OSError:
        return  # opening it says why it cannot be read
    if found != expected.lower():
        raise InputError(
            f"Dataset {dataset.name}: {path} is damaged or another file: its checksum is {found} "
            f"instead of {expected}; make or fetch it again."
        )


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

    Files of different grid jobs are often called the same in different folders. What is unusual
    in the name of a file is replaced: programs that read tensors overlook names that begin with
    a dot or an underscore, and URLs hold anything.

    Returns:
        A name, unique among them, for every path.
    """
    names = [re.sub(r"[^A-Za-z0-9._-]", "_", PurePosixPath(path).stem) for path in paths]
    names = [name.lstrip("._-")[:_LONGEST_STEM] or "file" for name in names]
    repeated = {name for name, count in Counter(names).items() if count > 1}
    stems: dict[str, str] = {}
    taken = set(names)
    for number, (path, name) in enumerate(zip(paths, names, strict=True)):
        stem = name
        if name in repeated:
            # A number that no other file has in its own name.
            candidates = (f"{name}.{i}" for i in itertools.count(number))
            stem = next(one for one in candidates if one not in taken)
            taken.add(stem)
        stems[path] = stem
    return stems


def _check_copies(files: Sequence[InputFile]) -> None:
    """Make sure that no two files of a dataset are the same one under two names.

    Raises:
        InputError: If two have the same UUID, which ROOT makes anew for every file.
    """
    seen: dict[tuple[str, str], str] = {}
    for file in files:
        first = seen.setdefault((file.dataset, file.uuid or file.path), file.path)
        if first != file.path:
            raise InputError(
                f"Dataset {file.dataset}: {first} and {file.path} are copies of the same file "
                "(they have the same UUID); its events would count double, name it once."
            )


def check_columns(dataset: Dataset, files: Sequence[InputFile]) -> None:
    """Make sure that all files of a dataset have the same columns.

    Raises:
        InputError: If some have optional columns that others have not.
    """
    for file in files:
        differing = sorted(file.columns.keys() ^ files[0].columns.keys())
        if differing:
            raise InputError(
                f"Dataset {dataset.name}: only one of {files[0].path} and {file.path} has the "
                f"columns {', '.join(differing)}; all files of a dataset must have the same."
            )


def _check_entries(dataset: Dataset, files: Sequence[InputFile]) -> None:
    """Compare the files of a dataset with what the manifest expects.

    Raises:
        InputError: If entries are missing.
    """
    for file in files:
        expected = expected_entries(dataset, file.path)
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


def expected_entries(dataset: Dataset, path: str) -> int | None:
    """Entries that the manifest expects in a file, None where it says nothing about it."""
    if not isinstance(dataset.entries, dict):
        return None
    return _said_of(path, dataset.entries)


def _said_of(path: str, by_file: Mapping[str, T]) -> T | None:
    """What the manifest says of a file, which it may call by its path or by its name."""
    return by_file.get(path, by_file.get(PurePosixPath(path).name))
