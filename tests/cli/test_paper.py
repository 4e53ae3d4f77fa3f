"""`punzinet paper` as a user runs it, on synthetic tensors."""

import json
from dataclasses import replace

import numpy as np
import pytest
import yaml
from commands import run_here
from outputs import draft, times
from synthetic import synthetic_windows, write_tensors

from punzinet.analysis.io.files import InputError
from punzinet.analysis.manifest.manifest import OWN_LABEL
from punzinet.plots import style
from punzinet.stages import FEATURES, SIMULATE
from punzinet.stages.options import Context, Options

HYPOTHESES = 9
MANIFEST = {
    "datasets": {name: {"process": name, "simulate": name} for name in ("signal", "tautau")},
    "training": {
        "finish": 2,
        "pretraining": {"epochs": 3, "batch_size": 512},
        "punzi": {"epochs": 3, "batch_size": 2000, "learning_rate": 2e-3},
    },
    "paper": {
        **dict.fromkeys(("networks", "unbatched_networks", "further_networks"), 2),
        "further_batch_sizes": [1000],
    },
}
FIGURES = (
    *("fig1_network", "fig2_loss", "fig3_figure_of_merit", "fig4_sensitivity"),
    *("fig5_signal_output", "fig6_background_output", "fig7_single_cut", "fig8_feature_space"),
    *("published", "discontinuities", "variations"),
)


def paper(folder, *arguments):
    options = ("--manifest", folder / "manifest.yaml", "--output", folder / "output")
    return run_here("paper", *options, *arguments)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder in which the paper was reproduced with some variations, on synthetic tensors."""
    folder = tmp_path_factory.mktemp("paper")
    (folder / "manifest.yaml").write_text(yaml.safe_dump(MANIFEST))
    context = Context(Options(manifest=folder / "manifest.yaml", output=folder / "output"))
    context.output.root.mkdir()
    windows = replace(synthetic_windows(HYPOTHESES), training=np.arange(HYPOTHESES) % 2 == 0)
    windows.write(context.output.windows, {})
    write_tensors(context.output.tensors, 9_000, HYPOTHESES)
    written = [context.output.windows, *context.output.tensors.rglob("*.parquet")]
    for stage, outputs in ((SIMULATE, []), (FEATURES, written)):
        stage.finish(context, outputs, stage.begin(context.output))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style, "save", draft)
        # One variation that needs a pretraining of its own, one that does not, two of data.
        paper(folder, "--vary", "wide", "--vary", "rate-low", "--vary", "background-0.25")
        paper(folder, "--vary", "spacing")
        yield folder


def test_every_figure_and_claim_is_there(folder):
    results = folder / "output" / "paper"
    for name in FIGURES:
        assert OWN_LABEL in (results / f"{name}.txt").read_text()
    claims = json.loads((results / "claims.json").read_text())
    for claim in claims.values():
        assert {"value", "error", "target", "met"} <= claim.keys()
    assert claims["networks_converged"]["target"] == "= 2"
    story = json.loads((results / "studies" / "main" / "study.json").read_text())
    assert list(story["networks"]) == ["bce-00", "bce-01", "punzi-00", "punzi-01"]
    rows = json.loads((results / "variations.json").read_text())["variations"]
    assert next(iter(rows)) == "main"
    assert rows["vary-wide"]["label"] == "hidden layers 16-8"
    assert rows["vary-wide"]["numbers"]["punzi/single"]["value"] > 0
    assert rows.keys() > {"vary-rate-low", "vary-background-0.25", "vary-spacing"}


def test_a_pretraining_is_done_once(folder):
    studies = (folder / "output" / "paper" / "studies").glob("*/networks/bce-00")
    pretrained = {path.parents[1].name for path in studies}
    assert pretrained >= {"main", "vary-wide"}
    assert not pretrained & {"unbatched", "vary-rate-low"}


def test_a_variation_that_there_is_not(folder):
    with pytest.raises(InputError, match=r"--vary wider: .* only published, split, .*heavy"):
        paper(folder, "--vary", "wider")


def test_a_second_run_does_nothing(folder):
    before = times(folder / "output")
    said = paper(folder, "--vary", "rate-low", "--vary", "wide")
    assert said.count("up to date") == said.count("\n") == 7
    assert times(folder / "output") == before
