"""sensitivity.json: what is written comes back, and nothing else is read."""

import json

import numpy as np
import pytest

from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.io.errors import InputError
from punzinet.analysis.sensitivity import NetworkSensitivity, Selection, Sensitivity


def selection(seed, cut=None):
    rng = np.random.default_rng(seed)
    columns = rng.uniform(0.1, 9.0, (5, 3))
    if cut is not None:
        columns[0] = cut
    columns[[0, 3, 4], 2] = np.inf if cut is None else columns[[0, 3, 4], 2]
    return Selection(*columns)


def sensitivity():
    return Sensitivity(
        mass=np.array([0.1, 0.2, 0.3]),
        training=np.array([True, False, True]),
        figure_of_merit=FigureOfMerit(form="punzi-improved", a=5.0),
        luminosity=50.0,
        networks={
            name: NetworkSensitivity(
                selection(i),
                selection(i + 9),
                selection(i + 1, cut=0.75),
                selection(i + 2, 0.0),
                {"single": 0.5, "half": np.inf},
            )
            for i, name in enumerate(("bce", "punzi"))
        },
    )


def test_what_is_written_comes_back(tmp_path):
    path = tmp_path / "sensitivity.json"
    written = sensitivity()
    written.write(path, {"seed": 3})
    read = Sensitivity.read(path)
    assert np.array_equal(read.mass, written.mass)
    assert np.array_equal(read.training, written.training)
    assert read.figure_of_merit == written.figure_of_merit
    assert read.luminosity == 50.0
    assert list(read.networks) == ["bce", "punzi"]
    for name, network in written.networks.items():
        for kind in ("optimal", "optimal_in_training", "single", "half"):
            for column in ("cut", "efficiency", "background", "sigma_min", "sigma_min_error"):
                assert np.array_equal(
                    getattr(getattr(read.networks[name], kind), column),
                    getattr(getattr(network, kind), column),
                )
    assert read.networks["punzi"].single_cut == 0.75
    assert read.networks["bce"].mean_error == {"single": 0.5, "half": np.inf}


def test_the_file_says_what_it_is(tmp_path):
    """The figure of merit, the luminosity, trained masses; infinity is null, for JSON has none."""
    path = tmp_path / "sensitivity.json"
    sensitivity().write(path, {"seed": 3})
    content = json.loads(path.read_text())
    assert content["provenance"] == {"seed": 3}
    assert content["figure_of_merit"] == {
        "form": "punzi-improved",
        "a": 5.0,
        "b": 1.28155,
        "background_uncertainty": 0.0,
    }
    assert content["luminosity"] == 50.0
    assert [row["role"] for row in content["hypotheses"]] == ["training", "validation", "training"]
    assert content["networks"]["bce"]["optimal"]["sigma_min"][2] is None


@pytest.mark.parametrize(
    ("key", "value"),  # `...`: without this key
    [
        ("networks", ...),
        ("networks", None),
        ("networks", []),
        ("networks.bce.single.background", ...),
        ("networks.bce.single.background", None),
        ("networks.bce.single.background", [1.0]),
        ("networks.bce.single.background", ["many", 1.0, 1.0]),
        ("networks.punzi.half", ...),
        ("networks.punzi.half", None),
        ("figure_of_merit.form", "asimov"),
        ("luminosity", None),
        ("hypotheses", [1, 2, 3]),
    ],
)
def test_other_content_is_refused(tmp_path, key, value):
    path = tmp_path / "sensitivity.json"
    sensitivity().write(path, {})
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


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="run `punzinet train` first"):
        Sensitivity.read(tmp_path / "sensitivity.json")
