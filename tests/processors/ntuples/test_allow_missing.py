"""Features with something missing: what is left when it cannot be read, and its normalisation."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.processors.executors import Execution
from punzinet.processors.runs.features import run_features

Make = Callable[..., Manifest]


def broken(
    tmp_path: Path, ntuples: dict[str, Path], make_manifest: Make, **section: Any
) -> Manifest:
    """Two good files of which one is cut in half later, by name of the dataset."""
    good = tmp_path / "good.root"
    good.write_bytes(ntuples["eemumu"].read_bytes())
    bad = tmp_path / "bad.root"
    bad.write_bytes(ntuples["tautau"].read_bytes()[:100_000])
    files = {"process": "tautau", "files": [str(good), str(bad)], **section}
    return make_manifest({**ntuples, "tautau": files})


def test_nothing_may_be_missing_unless_said(
    tmp_path: Path, ntuples: dict[str, Path], make_manifest: Make
) -> None:
    with pytest.raises(InputError, match=r"bad\.root is truncated"):
        run_features(
            broken(tmp_path, ntuples, make_manifest), OutputFolder(tmp_path / "output"), Execution()
        )


def test_the_missing_entries_have_to_be_known(
    tmp_path: Path, ntuples: dict[str, Path], make_manifest: Make
) -> None:
    manifest = broken(tmp_path, ntuples, make_manifest)
    with pytest.raises(InputError, match=r"bad\.root is truncated.*`datasets\.tautau\.entries`"):
        run_features(manifest, OutputFolder(tmp_path / "output"), Execution(), allow_missing=True)


def test_luminosity_shrinks_with_what_was_processed(
    tmp_path: Path, ntuples: dict[str, Path], make_manifest: Make
) -> None:
    manifest = broken(tmp_path, ntuples, make_manifest, entries=10_000)
    output = OutputFolder(tmp_path / "output")
    run_features(manifest, output, Execution(), allow_missing=True)
    complete = json.loads(output.completeness.read_text())
    assert complete["provenance"]["settings"]["processed"] == {"tautau": 0.3}
    (missing,) = complete["missing"]
    assert missing["file"] == str(tmp_path / "bad.root")
    table = pl.read_parquet(output.tensors / "tautau" / "*.parquet")
    assert table["weight"].to_numpy() == pytest.approx(0.9 * 50 / (100 * 0.3))


def test_a_file_that_the_pattern_does_not_find_is_missing(
    tmp_path: Path, ntuples: dict[str, Path], make_manifest: Make
) -> None:
    shutil.copy(ntuples["eemumu"], tmp_path / "one.root")
    section = {
        "process": "tautau",
        "files": [str(tmp_path / "*.root")],
        "entries": {"one.root": 3000, "two.root": 7000},
    }
    manifest = make_manifest({**ntuples, "tautau": section})
    output = OutputFolder(tmp_path / "output")
    with pytest.raises(InputError, match=r"expects a file two\.root, which is none of its `files`"):
        run_features(manifest, output, Execution())
    run_features(manifest, output, Execution(), allow_missing=True)
    complete = json.loads(output.completeness.read_text())
    assert complete["provenance"]["settings"]["processed"] == {"tautau": 0.3}
    assert [one["file"] for one in complete["missing"]] == ["two.root"]


def test_chunks_that_cannot_be_read_are_left_out(
    *, tmp_path: Path, ntuples: dict[str, Path], make_manifest: Make,
    damage: Callable[[Path], None],
) -> None:  # fmt: skip
    path = Path(shutil.copy(ntuples["tautau"], tmp_path))
    damage(path)
    manifest = make_manifest({**ntuples, "tautau": path}, features={"chunk_size": 500})
    output = OutputFolder(tmp_path / "output")
    with pytest.raises(InputError, match=r"tautau\.root: branch \S+ cannot be read"):
        run_features(manifest, output, Execution())
    with pytest.raises(InputError, match="can be read of 7000 expected"):
        run_features(manifest, output, Execution(), allow_missing=True)


def test_signal_of_several_masses_has_to_be_whole(
    tmp_path: Path, ntuples: dict[str, Path], make_manifest: Make
) -> None:
    signal = {
        "process": "signal",
        "files": [str(ntuples["signal"]), str(tmp_path / "gone.root")],
        "entries": 13_000,
    }
    with pytest.raises(InputError, match="nothing says of which generated mass"):
        run_features(
            make_manifest({**ntuples, "signal": signal}),
            OutputFolder(tmp_path / "output"),
            Execution(),
            allow_missing=True,
        )
