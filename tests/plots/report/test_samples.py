"""What the report says of the samples."""

import json
from pathlib import Path
from typing import Any

import pytest

from punzinet.analysis.io.errors import InputError
from punzinet.plots.report.samples import completeness_table


def dataset(read: int, files: int = 1, twice: int = 0, **more: Any) -> dict[str, Any]:
    """A dataset of files that hold 100 entries each, all events there twice in the first one."""
    names = [f"/data/run{i}.root" for i in range(files)]
    counts = {"present": 100, "expected": None}
    rest = read - 100 * (files - 1)
    return {
        "read": read,
        "present": 100 * files,
        "expected": None,
        **more,
        "duplicates": {"events": twice, "by_file": {names[0]: twice} if twice else {}},
        "files": [
            {"file": name, "read": 100 if i < files - 1 else rest, **counts}
            for i, name in enumerate(names)
        ],
    }


def table_of(tmp_path: Path, **datasets: Any) -> list[dict[str, str]]:
    """Lines of the table, by its header."""
    path = tmp_path / "completeness.json"
    path.write_text(json.dumps({"datasets": datasets}))
    table = completeness_table("Entries", path)
    assert table is not None
    return [
        {name or "verdict": cell.text for name, cell in zip(table.header, row, strict=True)}
        for row in table.rows
    ]


def test_simulation_says_what_was_read_and_is_there_twice(tmp_path: Path) -> None:
    whole, first, second, cut = table_of(tmp_path, tautau=dataset(200, 2, 7), mumu=dataset(60))
    assert [whole[key] for key in ("read", "verdict", "events there twice")] == [
        "200", "complete", "7",
    ]  # fmt: skip
    assert [first["file"], first["events there twice"]] == ["run0.root", "7"]
    assert [second["file"], second["events there twice"]] == ["run1.root", "0"]
    assert cut["verdict"] == "incomplete"
    assert "blinded" not in whole


def test_data_says_what_became_of_the_entries(tmp_path: Path) -> None:
    fates = {"kept": 12, "rejected": 8, "blinded": 180}
    whole, first, _ = table_of(tmp_path, runs=dataset(200, 2, **fates))
    assert {key: whole[key] for key in fates} == {"kept": "12", "rejected": "8", "blinded": "180"}
    assert not first["blinded"]


def test_absent_is_no_table_and_damaged_one_sentence(tmp_path: Path) -> None:
    assert completeness_table("Entries", tmp_path / "completeness.json") is None
    (tmp_path / "completeness.json").write_text('{"datasets": {"runs": {}}}')
    with pytest.raises(InputError, match="punzinet features --force"):
        completeness_table("Entries", tmp_path / "completeness.json")
