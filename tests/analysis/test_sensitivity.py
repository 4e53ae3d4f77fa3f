"""sensitivity.json: what is written comes back, and nothing else is read."""

import json
from dataclasses import asdict
from itertools import product

import numpy as np
import pytest

from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.io.files import InputError
from punzinet.analysis.sensitivity import NetworkSensitivity, Selection, Sensitivity


def selection(seed, cut=None):
    columns = np.random.default_rng(seed).uniform(0.1, 9.0, (6, 3))
    if cut is None:
        columns[[0, 3, 4], 2] = np.inf
    else:
        columns[0] = cut
    return Selection(*columns)


@pytest.fixture
def written(tmp_path):
    networks = {
        name: NetworkSensitivity(
            *(selection(i), selection(i + 1, cut=0.75), selection(i + 2, 0.0)),
            mean_error={"single": 0.5, "half": np.inf},
            by_events={"training": 0.4, "test": 0.5},
        )
        for i, name in enumerate(("bce", "punzi"))
    }
    figure = FigureOfMerit(form="punzi-improved", a=5.0)
    training = np.array([True, False, True])
    sensitivity = Sensitivity(np.array([0.1, 0.2, 0.3]), training, figure, 50.0, networks)
    path = tmp_path / "sensitivity.json"
    sensitivity.write(path, {"seed": 3})
    return sensitivity, path


def test_what_is_written_comes_back(written):
    sensitivity, path = written
    read = Sensitivity.read(path)
    np.testing.assert_equal(asdict(read), asdict(sensitivity))
    assert list(read.networks) == ["bce", "punzi"]
    assert read.networks["punzi"].single_cut == 0.75
    content = json.loads(path.read_text())
    assert content["provenance"] == {"seed": 3}
    figure = {"form": "punzi-improved", "a": 5.0, "b": 1.28155, "background_uncertainty": 0.0}
    figure["average"] = "mean"
    assert content["figure_of_merit"] == figure
    assert content["luminosity"] == 50.0
    assert [row["role"] for row in content["hypotheses"]] == ["training", "validation", "training"]
    assert content["networks"]["bce"]["optimal"]["sigma_min"][2] is None  # JSON has no infinity


@pytest.mark.parametrize(
    ("key", "value"),  # `...`: without this key
    [
        *(("networks", value) for value in (..., None, [])),
        *product(("networks.bce.single.background", "networks.punzi.half"), (..., None)),
        ("networks.bce.single.background", [1.0]),
        ("networks.bce.single.background", ["many", 1.0, 1.0]),
        ("figure_of_merit.form", "asimov"),
        ("luminosity", None),
        ("hypotheses", [1, 2, 3]),
    ],
)
def test_other_content_is_refused(written, key, value):
    path = written[1]
    content = section = json.loads(path.read_text())
    *outer, last = key.split(".")
    for name in outer:
        section = section[name]
    section[last] = value
    if value is ...:
        del section[last]
    for wrong in (content, [content]):
        path.write_text(json.dumps(wrong))
        with pytest.raises(InputError, match=r"does not hold the sensitivities.*punzinet train"):
            Sensitivity.read(path)
    path.unlink()
    with pytest.raises(InputError, match="run `punzinet train` first"):
        Sensitivity.read(path)
