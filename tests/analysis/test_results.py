"""Results as JSON: what is written comes back, and nothing else is read."""

import json
from dataclasses import asdict, replace
from itertools import product

import numpy as np
import pytest
from experiments import observation
from small_data import windows_of

from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.io.files import InputError
from punzinet.analysis.limits.result import Limits, SelectionLimits
from punzinet.analysis.limits.shape import ShapeLimits
from punzinet.analysis.peak_fit import PeakFit
from punzinet.analysis.sensitivity import NetworkSensitivity, Selection, Sensitivity

MASS, TRAINING = np.array([0.1, 0.2, 0.3]), np.array([True, False, True])
FIT = PeakFit(0.0, 0.15, 0.6, 2 / 3, 0.3, np.nan, 1e4, 100.0, 100, None)
COLUMNS = np.random.default_rng(1).uniform(0.1, 9.0, (6, 3))
COLUMNS[[0, 3, 4], 2] = np.inf
BANDS = np.outer([1.0, 2.0, np.inf], [0.5, 0.7, 1.0, 1.4, 2.0])
ONE = NetworkSensitivity(
    *(Selection(*columns) for columns in (COLUMNS, 2 * COLUMNS, 3 * COLUMNS)),
    mean_error={"single": 0.5, "half": np.inf},
    by_events={"training": 0.4, "test": 0.5},
)
SINGLE = SelectionLimits("punzi-00", *COLUMNS[:3], BANDS, 1.1 * BANDS)
IMPROVED = FigureOfMerit(form="punzi-improved", a=5.0)
#: Of each kind one, with what is infinite or unknown.
RESULTS = {
    "windows": replace(windows_of(MASS, [0.3] * 3, TRAINING), fits=(FIT, FIT, None)),
    "sensitivities": Sensitivity(MASS, TRAINING, IMPROVED, 50.0, {"bce": ONE, "punzi": ONE}),
    "observation": observation(MASS, limit=np.full(3, np.inf)),
    "limits": Limits(MASS, TRAINING, 50.0, 0.9, np.array([np.nan, 4e4, 1]), {"single": SINGLE}),
    "shape": ShapeLimits("punzi-00", 50.0, 0.9, MASS, 2 * BANDS, BANDS, [[0.5, 1.0], [2.0], []]),
}


@pytest.mark.parametrize("result", RESULTS.values(), ids=RESULTS)
def test_what_is_written_comes_back(result, tmp_path):
    path = tmp_path / "result.json"
    result.write(path, {"seed": 3})
    read = type(result).read(path)
    np.testing.assert_equal(asdict(read), asdict(result))
    for name, value in vars(result).items():
        assert getattr(vars(read)[name], "dtype", None) == getattr(value, "dtype", None), name
    assert json.loads(path.read_text())["provenance"] == {"seed": 3}
    path.unlink()
    with pytest.raises(InputError, match="run `punzinet"):
        type(result).read(path)


def test_more_than_a_hundred_networks_stay_in_their_order(tmp_path):
    names = [f"punzi-{number:02d}" for number in range(102)]
    of_all = replace(RESULTS["sensitivities"], networks=dict.fromkeys(["bce-00", *names], ONE))
    of_all.write(tmp_path / "sensitivity.json", {})
    assert Sensitivity.read(tmp_path / "sensitivity.json").of_loss("punzi") == names


@pytest.mark.parametrize(
    ("kind", "key", "value"),  # `...`: without this key
    [
        *product(["sensitivities"], ["networks", "networks.punzi.half"], [..., None, []]),
        *product(["sensitivities"], ["networks.bce.single.background"], [..., [1.0], ["x", 1, 1]]),
        ("sensitivities", "figure_of_merit.form", "asimov"),
        ("sensitivities", "luminosity", None),
        ("sensitivities", "hypotheses", [1, 2, 3]),
        ("sensitivities", "hypotheses", [{"mass": 1, "role": "Training"}] * 3),
        *product(["windows"], ["hypotheses"], [..., [], [{"mass": 1}]]),
        *product(["observation"], ["mass"], [[0.1, 0.5, 0.3], []]),
        *product(["observation"], ["count"], [[1, 2], [1, 2, 2.5]]),
        ("observation", "expected", [1.0, 2.0, 3.0]),
        ("observation", "source", "simulation"),
        ("observation", "upcrossings", [1.0, 2.0]),
        ("observation", "global_p_value", None),
        ("limits", "selections.single", ...),
        ("shape", "mass", [1.0]),
    ],
)
def test_other_content_is_refused(kind, key, value, tmp_path):
    path, result = tmp_path / "result.json", RESULTS[kind]
    result.write(path, {})
    content = section = json.loads(path.read_text())
    *outer, last = key.split(".")
    for name in outer:
        section = section[name]
    section[last] = value
    if value is ...:
        del section[last]
    for wrong in (content, [content]):
        path.write_text(json.dumps(wrong))
        with pytest.raises(InputError, match=rf"does not hold .*{kind}.*run `punzinet \w+.*again"):
            type(result).read(path)
