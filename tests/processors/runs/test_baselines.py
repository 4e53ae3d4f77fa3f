"""The baselines stage on a small sample: everything is judged, ranked and written."""

import json

import numpy as np
from small_data import make_manifest
from small_runs import make_features

from punzinet.analysis.observables import CANDIDATES
from punzinet.analysis.paper import baselines
from punzinet.processors.executors import Execution
from punzinet.processors.runs.baselines import run_baselines
from punzinet.processors.runs.training import run_training


def test_everything_is_judged_ranked_and_written(ntuples, tmp_path, monkeypatch):
    monkeypatch.setattr(baselines, "EVENTS_PER_LEAF", 10)
    few = {"finish": 2, "pretraining": {"epochs": 3}, "punzi": {"epochs": 3}}
    manifest = make_manifest(ntuples, training=few, baselines={"trees": 5})
    output = make_features(manifest, tmp_path)
    run_training(manifest, output)
    written, comparison, systematics, ranking = run_baselines(manifest, output, Execution())
    assert all(path.is_file() for path in written)
    trees = {"trees-interpolated", "trees-single"}
    others = {"bce-interpolated", "punzi-single", "rectangular", "significance-single"}
    assert set(comparison.baselines) == trees | others
    read = json.loads((output.baselines / "baselines.json").read_text())["baselines"]
    for name, baseline in comparison.baselines.items():
        found = np.array(read[name]["sigma_min"], float)
        np.testing.assert_array_equal(
            np.nan_to_num(found, nan=np.inf), baseline.selection.sigma_min
        )
    known = systematics.baselines["plain-known"].selection
    uncertain = systematics.baselines["plain-uncertain"].selection
    assert (uncertain.sigma_min >= known.sigma_min.min()).all()
    assert sorted(ranking.names) == sorted(CANDIDATES)
    assert (np.diff(ranking.importance) <= 0).all()
    table = json.loads((output.baselines / "observables.json").read_text())["observables"]
    assert [row["rank"] for row in table] == list(range(1, len(CANDIDATES) + 1))
    assert not list(output.baselines.rglob("*.pkl"))
