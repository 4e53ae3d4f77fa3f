"""Datacards of combine say what the workspaces say: read back by the rules of combine."""

import numpy as np
import pyhf
import pytest
import uproot
from experiments import counted

from punzinet.analysis.limits.datacard import datacard, write_workspaces

BINS = 5


def read_card(text):
    """Rows of a card by their first words, as combine reads them: rules, and words with - as 0."""
    lines = [line.split() for line in text.splitlines() if not line.startswith(("#", "-"))]
    head = {}
    while lines[0][0] != "rate":
        key, *words = lines.pop(0)
        head.setdefault(key, []).append(words)
    (_, *rates), *rows = lines
    return head, np.array(rates, float), rows


def expected(text, theta, gamma, strength):
    """Events that a card expects, for parameters in sigmas, and gamma factors of counts."""
    head, rates, rows = read_card(text)
    names, numbers = head["process"]
    assert [int(number) <= 0 for number in numbers] == [name == "signal" for name in names]
    assert head["bin"][1] == head["bin"][0] * len(names)
    nominal, rates = rates, rates * [strength, *[1] * (len(rates) - 1)]
    constraints = {}
    for name, kind, *words in rows:
        cells = words[-len(rates) :]
        for i, cell in enumerate(cells):
            if cell != "-" and kind == "gmN":
                constraints[name] = int(words[0])
                assert float(cell) * int(words[0]) == pytest.approx(nominal[i])
                rates[i] *= gamma[name]
            elif cell != "-":
                *down, up = map(float, cell.split("/"))
                kappa = up if theta[name] > 0 else 1 / (down or [1 / up])[0]
                rates[i] *= kappa ** theta[name]
    return rates.sum(), constraints


@pytest.mark.parametrize(
    ("uncertainty", "parameters"),  # one is common, several are independent
    [
        (0.1, {"background": ["-", "1.1", "1.1"]}),
        (
            {"tautau": 0.2, "eemumu": 0.3},
            {"background_tautau": ["-", "1.2", "-"], "background_eemumu": ["-", "-", "1.3"]},
        ),
    ],
)
def test_a_counting_card_expects_what_pyhf_expects(uncertainty, parameters):
    workspace = counted([3.0, 1.0], [1.0, 0.5], background_uncertainty=uncertainty).workspace()
    workspace["channels"][0]["samples"][1]["modifiers"].append(
        {"name": "resolution", "type": "normsys", "data": {"hi": 1.2, "lo": 0.95}}
    )
    text = datacard(workspace)
    assert "0.95/1.2" in text
    head, rates, rows = read_card(text)
    assert head["observation"] == [["4"]]
    assert rates == pytest.approx([0.2 * 50, 3.0, 1.0])
    assert {name: of for name, _, *of in rows if name.startswith("background")} == parameters
    model = pyhf.Workspace(workspace).model()
    rng = np.random.default_rng(3)
    for _ in range(5):  # beyond one sigma both are exponentials
        theta, gamma = {}, {}
        values = np.array(model.config.suggested_init())
        for name in model.config.par_order:
            where = model.config.par_slice(name)
            if name.startswith("statistics"):
                values[where] = gamma[name] = rng.uniform(0.5, 1.5)
            elif name != "cross_section":
                values[where] = theta[name] = rng.choice([-1, 1]) * rng.uniform(1, 3)
        strength = values[model.config.poi_index] = rng.uniform(0.1, 2)
        events, counts = expected(text, theta, gamma, strength)
        assert events == pytest.approx(model.expected_actualdata(values)[0], rel=1e-9)
        assert counts == {"statistics_tautau": 9, "statistics_eemumu": 4}
        for name, count in counts.items():
            assert model.config.param_set(name).auxdata == pytest.approx([count])


def test_counts_that_are_not_whole_are_rounded_down_and_one_stands_for_none():
    rows = read_card(datacard(counted([3.0, 1.0], [1.05, 0.9]).workspace()))[2]
    assert [row[2] for row in rows if row[1] == "gmN"] == ["8", "1"]
    rows = read_card(datacard(counted([0.0, 0.0], [0.0, 0.0]).workspace()))[2]
    assert [row[:3] for row in rows if row[1] == "gmN"] == [["statistics_unseen", "gmN", "1"]]


def test_templates_are_histograms_that_the_card_finds(tmp_path):
    workspace, rng = counted([3.0, 1.0], [1.0, 0.5]).workspace(), np.random.default_rng(4)
    samples, edges = workspace["channels"][0]["samples"], {"2.5": [-1.0, 0.5, 1.0, 2.0, 4.0, 4.5]}
    for sample in samples:
        sample["data"] = rng.uniform(1, 9, BINS).tolist()
        for one in sample["modifiers"]:
            if one["type"] == "shapesys":
                one["data"] = (0.1 * np.array(sample["data"])).tolist()
    # Both a shape and a factor, of another sample the factor alone.
    data = np.array(samples[1]["data"])
    varied = {"hi_data": (1.3 * data).tolist(), "lo_data": (data / 2).tolist()}
    samples[1]["modifiers"].append({"name": "scale", "type": "histosys", "data": varied})
    for sample in samples[:2]:
        both = {"hi": 2.0, "lo": 0.5}
        sample["modifiers"].append({"name": "scale", "type": "normsys", "data": both})
    workspace["observations"][0]["data"] = rng.poisson(9, BINS).tolist()
    folders = tmp_path / "one", tmp_path
    _, card, root = write_workspaces(folders, {"2.5": workspace}, edges)
    assert (card.name, root.name) == ("2.5.txt", "2.5.root")
    head, rates, rows = read_card(card.read_text())
    ((_, _, named, *patterns),) = head["shapes"]
    assert (named, patterns) == (root.name, ["$PROCESS", "$PROCESS_$SYSTEMATIC"])
    kinds = {row[0]: row[1:] for row in rows}
    assert kinds["luminosity"] == ["lnN", *["1.01"] * 3]
    assert kinds["background"] == ["lnN", "-", "1.1", "1.1"]
    assert kinds["scale"] == ["shape", "1", "1", "-"]
    assert kinds["window"][0] == "autoMCStats"
    assert not any("gmN" in row for row in rows)
    with uproot.open(root) as file:
        assert file["data_obs"].axis().edges().tolist() == edges["2.5"]
        assert file["data_obs"].values().tolist() == workspace["observations"][0]["data"]
        for sample, rate in zip(samples, rates, strict=True):
            content, name = np.array(sample["data"]), sample["name"]
            assert file[name].values().sum() == pytest.approx(rate, rel=1e-10)
            np.testing.assert_allclose(file[name].errors(), 0.1 * content * (name != "signal"))
        for sample, ends in zip(samples, [(2.0, 0.5), (2.6, 0.25)], strict=False):
            for way, factor in zip(("Up", "Down"), ends, strict=True):
                found = file[f"{sample['name']}_scale{way}"].values()
                np.testing.assert_allclose(found, factor * np.array(sample["data"]))
        assert len(file.keys()) == 1 + 3 + 2 * 2
    before = root.read_bytes()
    write_workspaces(folders, {"2.5": workspace}, edges)
    assert root.read_bytes() == before
