"""Recipes for the Punzi-loss on the same data: epochs, seconds, and what comes out.

    python tests/bench/compare_recipes.py output '{}' '{"optimizer": "lbfgs"}' --seed 1 2 3

OUTPUT is a folder in which the features stage has finished. A recipe is what differs from the
default of `training.punzi`. All recipes of a seed begin with the same pretrained network.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table
from torch.nn.utils import parameters_to_vector

from punzinet.analysis.evaluation import evaluate
from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.training.data import Sample, load_sample
from punzinet.analysis.training.settings import TrainingSettings
from punzinet.analysis.training.train import TrainingResult, train_networks
from punzinet.analysis.windows import Windows

LUMINOSITY = 50.0


def train(
    sample: Sample, output: OutputFolder, settings: dict[str, Any], pretrained: np.ndarray | None
) -> TrainingResult:
    """Train one network."""
    return train_networks(
        sample, FigureOfMerit(), LUMINOSITY, TrainingSettings.model_validate(settings), output,
        pretrained=pretrained, may_fail=True,
    )  # fmt: skip


def row(
    sample: Sample, seed: int, recipe: dict[str, Any], pretrained: np.ndarray
) -> tuple[str, ...]:
    """A row of the table, with σ_min of validation events behind one cut."""
    with tempfile.TemporaryDirectory() as folder:
        output, begin = OutputFolder(Path(folder)), time.perf_counter()
        (trained,) = train(sample, output, {"seed": seed, "punzi": recipe}, pretrained).punzi
        seconds = time.perf_counter() - begin
        epochs = pq.read_metadata(output.network(trained.name) / "history.parquet").num_rows - 1
    every, networks = np.ones(len(sample.mass), bool), {trained.name: trained.network}
    judged = evaluate(networks, sample, every, FigureOfMerit(), LUMINOSITY).networks[trained.name]
    sigma = judged.single.sigma_min.mean()
    figures = (epochs, trained.epoch, f"{seconds:.0f}", f"{trained.loss:.3f}", f"{sigma:.3f}")
    return (str(seed), json.dumps(recipe), *map(str, figures))


def main() -> None:
    """Print a table: a row for every seed and recipe."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path, help="output folder with tensors and windows")
    parser.add_argument("recipes", nargs="+", type=json.loads, help="JSON of `training.punzi`")
    parser.add_argument("--seed", type=int, nargs="+", default=[1, 2, 3], help="seeds")
    arguments = parser.parse_args()
    folder = OutputFolder(arguments.output)
    windows = Windows.read(folder.windows)
    sample = load_sample(folder.tensors, windows, TrainingSettings().validation_fold)
    table = Table("seed", "recipe", "epochs", "best", "s", "loss (fb)", "σ_min, one cut (fb)")
    for seed in arguments.seed:
        with tempfile.TemporaryDirectory() as name:
            no_recipe = {"seed": seed, "punzi": {"epochs": 0}}
            (bce, *_) = train(sample, OutputFolder(Path(name)), no_recipe, None).bce
        parameters = parameters_to_vector(bce.network.parameters())
        pretrained = parameters.detach().double().numpy()[np.newaxis]
        for recipe in arguments.recipes:
            table.add_row(*row(sample, seed, recipe, pretrained))
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
