"""Claims of several seeds side by side."""

import json
from pathlib import Path

import pytest

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.paper.combination import combine_claims


def write(folder: Path, **values: float | None) -> Path:
    """Write claims that should be at least 1."""
    (folder / "paper").mkdir(parents=True)
    claims = {
        name: {"text": name, "value": v, "target": "≥ 1", "at_least": 1.0, "at_most": None}
        for name, v in values.items()
    }
    (folder / "paper" / "claims.json").write_text(json.dumps(claims))
    return folder


def test_mean_and_standard_error_over_seeds(tmp_path: Path) -> None:
    values = (0.9, 1.1, 1.3)
    folders = [write(tmp_path / str(i), ratio=v) for i, v in enumerate(values)]
    claim = combine_claims(folders)["ratio"]
    assert list(claim["values"].values()) == list(values)
    assert claim["value"] == pytest.approx(1.1)
    assert claim["error"] == pytest.approx(0.2 / 3**0.5)
    assert claim["met"] is True


def test_a_seed_without_a_value_is_not_left_out(tmp_path: Path) -> None:
    folders = [write(tmp_path / "a", ratio=2.0), write(tmp_path / "b", ratio=None)]
    claim = combine_claims(folders)["ratio"]
    assert claim["value"] is None
    assert claim["met"] is False


def test_other_claims_are_refused(tmp_path: Path) -> None:
    folders = [write(tmp_path / "a", ratio=2.0), write(tmp_path / "b", other=1.0)]
    with pytest.raises(InputError, match="do not hold the same claims"):
        combine_claims(folders)


def test_no_claims(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="run `punzinet paper` first"):
        combine_claims([tmp_path])
    (tmp_path / "paper").mkdir()
    (tmp_path / "paper" / "claims.json").write_text("[1]")
    with pytest.raises(InputError, match="does not hold claims"):
        combine_claims([tmp_path])
