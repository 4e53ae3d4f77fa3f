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
from punzinet.analysis.training.train import train_networks
from punzinet.analysis.windows import Windows

LUMINOSITY = 50.0


def pretrain(sample: Sample, seed: int) -> np.ndarray:
    """Parameters (1, K) of a network after the default pretraining."""
    settings = TrainingSettings.model_validate({"seed": seed, "punzi": {"epochs": 0}})
    with tempfile.TemporaryDirectory() as folder:
        output = OutputFolder(Path(folder))
        result = train_networks(
            sample, FigureOfMerit(), LUMINOSITY, settings, output, may_fail=True
        )
    parameters = parameters_to_vector(result.bce[0].network.parameters())
    return parameters.detach().double().numpy()[np.newaxis]


def train(
    sample: Sample, training: np.ndarray, pretrained: np.ndarray, seed: int, recipe: dict[str, Any]
) -> tuple[str, ...]:
    """Train one network: a row of the table, with σ_min of validation events behind one cut."""
    settings = TrainingSettings.model_validate({"seed": seed, "punzi": recipe})
    merit = FigureOfMerit()
    with tempfile.TemporaryDirectory() as folder:
        output, begin = OutputFolder(Path(folder)), time.perf_counter()
        result = train_networks(
            sample, merit, LUMINOSITY, settings, output, pretrained=pretrained, may_fail=True
        )
        (trained,), seconds = result.punzi, time.perf_counter() - begin
        history = pq.read_table(output.network(trained.name) / "history.parquet").to_pydict()
    networks = {trained.name: trained.network}
    judged = evaluate(networks, sample, training, merit, LUMINOSITY).networks[trained.name]
    sigma = judged.single.sigma_min[training]
    epochs = len(history["epoch"]) - 1
    row = (epochs, trained.epoch, f"{seconds:.0f}", f"{trained.loss:.3f}", f"{sigma.mean():.3f}")
    return tuple(map(str, row))


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
    every = np.ones(len(sample.mass), bool)
    table = Table("seed", "recipe", "epochs", "best", "s", "loss (fb)", "σ_min, one cut (fb)")
    for seed in arguments.seed:
        pretrained = pretrain(sample, seed)
        for recipe in arguments.recipes:
            row = train(sample, every, pretrained, seed, recipe)
            table.add_row(str(seed), json.dumps(recipe), *row)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
