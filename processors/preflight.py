"""Preflight: look at every file before the first event is processed."""

import difflib
import os
import re
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple, TypeVar

from punzinet.analysis.folds import IDENTITY
from punzinet.analysis.io.files import InputError, checksum
from punzinet.analysis.manifest.datasets import Dataset
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.manifest.systematics import FACTOR, factor_branches, factor_name
from punzinet.processors import opening
from punzinet.processors.datasets import BEAM, CHARGES, MOMENTA

T = TypeVar("T")
#: Files looked at at the same time: most of it is waiting for disks and networks.
THREADS: Final = 8
#: Longest name of a file that is kept: file systems allow 255 bytes with all that is added.
_LONGEST_STEM: Final = 120
#: Types of a branch that hold one number for every entry, in ROOT's and in C++'s spelling.
NUMBERS = frozenset(
    {"double", "float", "Double32_t", "Float16_t", "bool", "char", "int", "short", "long"}
    | {f"{sign}int{bits}_t" for sign in ("", "u") for bits in (8, 16, 32, 64)}
    | {f"unsigned {kind}" for kind in ("char", "int", "short", "long")}
)


@dataclass(frozen=True)
class InputFile:
    """A file that can be processed."""

    dataset: str
    path: str  # or URL
    tree: str
    entries: int
    columns: dict[str, str]  # branch of each
    stem: str  # name for what is made of it, unique in its dataset
    uuid: str = ""  # written by ROOT
    size: int = -1  # bytes; of a URL, -1
    changed: int = -1  # time of its last change, ns; of a URL, -1
    expected: int | None = None  # entries by the manifest, None where it says nothing about it

    @property
    def state(self) -> tuple[int, int, str, str, int, str]:
        """What tells it from any other file, and from itself after a change."""
        return self.size, self.changed, self.uuid, self.path, self.entries, self.tree

    @property
    def source(self) -> str:
        """What tells its tree from any other, but not from a copy: UUID and name of the tree."""
        # Whoever wants the same bytes for the same content leaves the UUID empty.
        uuid = self.uuid if self.uuid.strip("0-") else os.path.realpath(self.location)
        return f"{uuid}/{self.tree}"

    @property
    def location(self) -> str:
        """Where a worker finds it that runs in another folder: its absolute path, or its URL."""
        if opening.is_remote(self.path):
            return self.path
        return str(Path(self.path.removeprefix("file://")).absolute())


class MissingFile(NamedTuple):
    """A file that cannot be processed."""

    dataset: str
    file: str  # path or URL
    entries: int | None  # that the manifest expects, None where it says nothing about it
    reason: str


def preflight(
    manifest: Manifest, *, allow_missing: bool = False
) -> tuple[list[InputFile], list[MissingFile]]:
    """Look at all input files: those that can be processed and those that cannot, in order.

    InputError if a pattern matches no file, a file is there twice, or the files of a dataset
    differ; for the first that is not what the manifest says, unless files may be missing.
    """
    further, datasets = manifest.search.resolved.columns, manifest.datasets.values()
    todo = [
        (dataset, path, stem)
        for dataset in datasets
        for path, stem in _stems(dataset.resolved_files(must_exist=not allow_missing)).items()
    ]

    def look_at(one: tuple[Dataset, str, str]) -> InputFile | MissingFile:
        dataset, path, stem = one
        columns = further, factor_branches(manifest.systematics, dataset)
        try:
            return opening.patiently(path, lambda: inspect_file(dataset, path, stem, *columns))
        except InputError as error:
            return MissingFile(dataset.name, path, _expected(dataset, path), str(error))

    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(look_at, todo))
    files = [file for file in found if isinstance(file, InputFile)]
    _check_copies(files, manifest.datasets)
    missing = [file for file in found if isinstance(file, MissingFile)]
    for dataset in datasets:
        paths = [path for one, path, _ in todo if one is dataset]
        names = {*paths, *(PurePosixPath(path).name for path in paths)}
        for name in (name for name in dataset.expected_files if name not in names):
            problem = (
                f"Dataset {dataset.name}: the manifest expects a file {name}, which is none of its "
                "`files`; fetch it, or correct `entries` and `checksums`."
            )
            missing.append(MissingFile(dataset.name, name, _expected(dataset, name), problem))
    if missing and not allow_missing:
        raise InputError(missing[0].reason)
    for dataset in datasets:
        own = [file for file in files if file.dataset == dataset.name]
        for file in own:
            if differing := sorted(file.columns.keys() ^ own[0].columns.keys()):
                raise InputError(
                    f"Dataset {dataset.name}: only one of {own[0].path} and {file.path} has the "
                    f"columns {', '.join(differing)}; all files of a dataset must have the same."
                )
        if not allow_missing:
            _check_entries(dataset, own)
    _check_factors(files, manifest)
    return files, missing


def inspect_file(
    dataset: Dataset,
    path: str,
    stem: str,
    further: Sequence[str] = (),
    factors: Mapping[str, Mapping[str, str]] | None = None,
) -> InputFile:
    """Look into one file of a dataset; `further` columns and `factors` are as in `find_columns`.

    InputError if it is not a whole ROOT file with the tree and the branches.
    """
    size, changed = opening.state_of(path)
    _check_sum(dataset, path)
    named = f"Dataset {dataset.name}"
    unread = f"{named}: tree {dataset.tree} of {path} cannot be read: it is damaged or out of reach"
    with opening.open_file(path, dataset.name) as file, opening.reading(unread):
        kinds = ("TTree", "TNtuple*", "ROOT::RNTuple")
        trees = sorted(set(file.keys(cycle=False, filter_classname=kinds)))
        if dataset.tree not in trees:
            there = f"it has {', '.join(trees)}" if trees else "it has no tree at all"
            raise InputError(
                f"{named}: {path} has no tree {dataset.tree}; {there}; set `tree` in the manifest."
            )
        tree = file[dataset.tree]
        branches, entries, uuid = dict(tree.iteritems()), int(tree.num_entries), str(file.file.uuid)
        types = {name: branch.typename for name, branch in branches.items()}
        columns = find_columns(dataset, path, types, further, factors)
        for column, name in columns.items():
            source, found = f"{named}: branch {name} of {path}", branches[name].num_entries
            # Of these, uproot would read another branch, and coffea none at all.
            if tree.get(name) is not branches[name] or {",", "!"} & set(name):
                raise InputError(
                    f"{source}, which `{column}` is read from, cannot be told by its name from "
                    "others: give it one without / , and ! that no other branch has."
                )
            if found != entries:
                raise InputError(
                    f"{source} has {found} entries, but tree {dataset.tree} has {entries}, and "
                    f"`{column}` has to be one number for each of them; make the file again."
                )
    state = uuid, size, changed, _expected(dataset, path)
    return InputFile(dataset.name, path, dataset.tree, entries, columns, stem, *state)


def find_columns(
    dataset: Dataset,
    file: str,
    branches: Mapping[str, str],
    further: Sequence[str] = (),
    factors: Mapping[str, Mapping[str, str]] | None = None,
) -> dict[str, str]:
    """Find out which branch of a file each column is read from, given the types of all branches.

    The weight, both charges, the four components of the beam, and `factors` on weights by parameter
    are used where a file has them; everything else has to be there, also what the manifest gives an
    alias and what the search reads `further`. The generated mass is of signal of several masses
    only. InputError if a column is missing, or a branch does not hold one number per entry.
    """
    own_mass = ("generated_mass",) if dataset.is_signal and dataset.mass is None else ()
    required = (*IDENTITY, *MOMENTA, *own_mass, *further)
    needed = {*required, *dataset.branches}
    branch_of = {name: name for name in further} | dataset.branch_of
    groups = [*(factors or {}).values()]
    for of in groups:
        branch_of |= of
    columns = {}
    for group in (*((name,) for name in required), ("weight",), CHARGES, BEAM, *groups):
        names = {column: branch_of[column] for column in group}
        missing = [column for column, name in names.items() if name not in branches]
        if not missing:
            columns.update(names)
        elif len(missing) < len(names) or needed & set(group):
            raise InputError(_missing_sentence(dataset, file, missing[0], branches, branch_of))
    for column, name in columns.items():
        if branches[name].removeprefix("std::") not in NUMBERS:
            raise InputError(
                f"Dataset {dataset.name}: branch {name} of {file} holds {branches[name]}, but "
                f"`{column}` has to be one number for every entry."
            )
    return columns


def _missing_sentence(
    dataset: Dataset, file: str, column: str, branches: Collection[str], of: Mapping[str, str]
) -> str:
    """Say which branch is missing, and which ones that are free are called similarly."""
    free = sorted(set(branches) - set(dataset.branch_of.values()))
    near = difflib.get_close_matches(of[column], free, n=3, cutoff=0.5)
    near = near or difflib.get_close_matches(column, free, n=3, cutoff=0.4)
    hint = f"; nearest are {', '.join(near)}" if near else ""
    section = "systematics" if column.startswith(FACTOR) else "branches"
    return (
        f"Dataset {dataset.name}: tree {dataset.tree} of {file} has no branch {of[column]}, which "
        f"`{column}` is read from{hint}; name the right one under `{section}` in the manifest."
    )


def _check_sum(dataset: Dataset, path: str) -> None:
    if (expected := _said_of(path, dataset.checksums)) is None:
        return
    if opening.is_remote(path):
        raise InputError(
            f"Dataset {dataset.name}: {path} is on a server, and `checksums` are those of files on "
            "disk; leave this one out."
        )
    with suppress(OSError):  # opening it says why it cannot be read
        found = checksum(Path(path.removeprefix("file://")), expected.partition(":")[0])
        if found != expected.lower():
            raise InputError(
                f"Dataset {dataset.name}: {path} is damaged or another file: its checksum is "
                f"{found} instead of {expected}; make or fetch it again."
            )


def _stems(paths: Sequence[str]) -> dict[str, str]:
    """Names of files without folders and suffix, numbered where several have the same, by path.

    Files of grid jobs are often called the same in different folders. What is unusual is replaced:
    URLs hold anything, and names that begin with a dot or an underscore are overlooked by readers.
    """
    names = [re.sub(r"[^A-Za-z0-9._-]", "_", PurePosixPath(path).stem) for path in paths]
    names = [name.lstrip("._-")[:_LONGEST_STEM] or "file" for name in names]
    if len({*names}) < len(names):
        names = [f"{name}.{number}" for number, name in enumerate(names)]
    return dict(zip(paths, names, strict=True))


def _check_copies(files: Sequence[InputFile], datasets: Mapping[str, Dataset]) -> None:
    """Refuse two files of a process that are the same: ROOT gives each a UUID of its own.

    Variations may read other branches of the same file.
    """
    seen: dict[tuple[str, str], InputFile] = {}
    for file in files:
        dataset = datasets[file.dataset]
        first = seen.setdefault((dataset.unrepeated, file.source), file)
        if first is not file:
            other = "" if first.dataset == file.dataset else f" of dataset {first.dataset}"
            raise InputError(
                f"Dataset {file.dataset}: {first.path}{other} and {file.path} are copies of the "
                "same file (they have the same UUID); its events would count double, name it once."
            )


def _check_factors(files: Sequence[InputFile], manifest: Manifest) -> None:
    """Refuse factors on weights that no dataset has, or not each one that is said to."""
    for name, one in manifest.systematics.items():
        looked_at = [d.name for d in manifest.datasets.values() if one.applies_to(d)]
        column = factor_name(name, "up")
        having = {file.dataset for file in files if column in file.columns}
        for dataset in looked_at:
            if one.weights and dataset not in having and (one.weights.datasets or not having):
                which = f"dataset {dataset}" if one.weights.datasets else "any simulated dataset"
                raise InputError(
                    f"`systematics.{name}.weights`: there is no branch {one.weights.up} in the "
                    f"files of {which}; correct its name, or `datasets` there."
                )


def _check_entries(dataset: Dataset, files: Sequence[InputFile]) -> None:
    total, advice = sum(file.entries for file in files), "fetch the whole file"
    found = [(f"{file.path} has", file.entries, file.expected, advice) for file in files]
    if isinstance(dataset.entries, int):
        found = [("its files have", total, dataset.entries, "find the missing files")]
    for what, entries, expected, advice in found:
        if expected not in (None, entries):
            raise InputError(
                f"Dataset {dataset.name}: {what} {entries} entries, but the manifest expects "
                f"{expected}; {advice}, or correct `entries`."
            )
    if total == 0:
        raise InputError(
            f"Dataset {dataset.name}: there is not a single entry in its files; leave it out of "
            "the manifest, or give it files with events."
        )


def _expected(dataset: Dataset, path: str) -> int | None:
    """Entries that the manifest expects in a file, None where it says nothing about it."""
    return _said_of(path, dataset.entries) if isinstance(dataset.entries, dict) else None


def _said_of(path: str, by_file: Mapping[str, T]) -> T | None:
    """What the manifest says of a file, which it may call by its path or by its name."""
    return by_file.get(path, by_file.get(PurePosixPath(path).name))
