"""Results as tables: nothing is lost, and what is damaged is said."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.io.files import InputError
from punzinet.analysis.paper.baselines import Baseline, Baselines
from punzinet.analysis.sensitivity import Selection
from punzinet.plots.report import tables


def lines(table: tables.Table) -> list[dict[str, str]]:
    header = [name or "verdict" for name in table.header]
    return [dict(zip(header, (cell.text for cell in row), strict=True)) for row in table.rows]


def test_labels_without_tex():
    labels = {r"$\tau^+\tau^-$": "τ⁺τ⁻", r"Z'\to\mathrm{inv.}": "Z′ → inv."}
    labels |= {r"e^+e^-\to\mu^+\mu^-Z'": "e⁺e⁻ → μ⁺μ⁻Z′", r"$\frac{a}{b}$": "the name"}
    for mathtext, plain in labels.items():
        assert tables.plain_label("the name", mathtext) == plain


def test_a_claim_that_is_not_met_is_shown_as_such():
    claim = {"text": "in words", "value": 1.0, "error": 0.1, "target": "≥ 1.3", "met": False}
    further = {**claim, "target": None, "met": None, "error_sample": 0.25}
    first, second = tables.claims_tables({"two": further, "one": claim})
    ((name, _, target, verdict),) = first.rows
    assert (name.text, target.text, verdict.state) == ("in words", "≥ 1.3", "bad")
    ((name, value, _, verdict),) = second.rows
    assert (name.detail, verdict.state) == ("two", "")
    assert "0.25" in value.detail


def test_variations_are_lines_below_the_recipe_as_it_is():
    effects = {}
    for label, value in (("as it is", 1.0), ("wide", 2.0)):
        number = {"value": value, "error": 0.1, "error_sample": 0.25}
        numbers = {"punzi/single": number, "1_to_4_gev": number}
        effects[label] = {"label": label, "networks": 3, "converged": 2, "numbers": numbers}
    (table,) = tables.variations_table({"variations": effects})
    assert lines(table) == [
        {"changed": label, "Punzi-net, one cut": value, "1 to 4 GeV": value}
        for label, value in (("as it is", "1.00 ± 0.10"), ("wide", "2.00 ± 0.10"))
    ]
    assert "2 of 3" in table.rows[0][0].detail
    assert "0.25" in table.rows[0][1].detail


def test_methods_are_judged_on_trained_and_other_masses_apart_and_observables_ranked(tmp_path):
    found = {}
    for name, heaviest, error in (("A", 3.0, 0.1), ("B", np.inf, np.inf)):
        sigma = np.array([1.0, 5.0, heaviest])
        selection = Selection(*[sigma] * 5, effective=np.array([1.0, 1.0, 0.0]))
        found[name] = Baseline(name, selection, error)
    mass, training = np.array([0.5, 1.0, 9.0]), np.array([True, False, True])
    path = tmp_path / "baselines.json"
    Baselines(mass, training, FigureOfMerit(), 50.0, found).write(path, {})
    (table,) = tables.baselines_tables("methods", json.loads(path.read_text()))
    first, second = (list(line.values()) for line in lines(table))
    assert first == ["A", "< 2.00 ± 0.10", "5", "5", "3", "0"]
    assert second == ["B", "∞", "5", "5", "5", "1"]
    ranks = [{"rank": 1, "observable": "pt_mumu", "auc": 0.75}]
    (table,) = tables.baselines_tables("observables", {"cross_entropy": 0.3, "observables": ranks})
    assert lines(table) == [{"rank": "1", "observable": "pt_mumu", "auc": "0.75"}]
    assert "0.3" in table.caption


def test_provenance_is_no_quantity():
    row = {"ours": 1.0, "published": 2.0, "ratio": 0.5, "tolerance": 0.2, "met": False}
    content = {"σ": row, "provenance": {"ours?": 1}, "spectra": {"x": [1]}}
    (table,) = tables.validation_table(content)
    assert [line["quantity"] for line in lines(table)] == ["σ"]


def dataset(*read: int, twice: int = 0, **fates: int) -> dict[str, Any]:
    """A dataset of files that hold 100 entries each, all events there twice in the first one."""
    rows = [{"read": count, "present": 100, "expected": None} for count in read]
    files = [{"file": f"/data/run{i}.root", **row} for i, row in enumerate(rows)]
    whole = {"read": sum(read), "present": 100 * len(read), "expected": None}
    found = {"events": twice, "by_file": {"/data/run0.root": twice}}
    return {**whole, **fates, "duplicates": found, "files": files}


def test_sidebands_of_which_nothing_follows_have_dashes():
    row = dict.fromkeys(("factor", "uncertainty", "predicted", "predicted_error", "pull"))
    row |= {"mass": 1.0, "outer": 16.0, "expected": 2.0, "count": 0, "found": 3, "found_error": 1}
    whole = row | {"factor": 1.2, "uncertainty": 0.25, "predicted": 2.0, "predicted_error": 0.5}
    said, beside = tables.sidebands_table({"said": ["This."], "rows": [row, whole]})
    assert lines(said) == [{"what was found": "This."}]
    cells = [[*line.values()] for line in lines(beside)]
    assert cells[0] == ["1", "16", "2", "0", "–", "–", "3.0 ± 1.0", "–"]
    assert cells[1][4:6] == ["1.20 ± 0.30", "2.00 ± 0.50"]


def test_entries_that_are_read_and_there_twice_and_what_became_of_data():
    def table(**datasets: dict[str, Any]) -> list[str]:
        (found,) = tables.completeness_table("Entries", {"datasets": datasets})
        rows = (line.items() for line in lines(found))
        return [" ".join(v for k, v in row if k not in {"present", "expected"}) for row in rows]

    assert table(tautau=dataset(100, 100, twice=7), mumu=dataset(60)) == [
        "tautau all 200 complete 7", " run0.root 100 complete 7", " run1.root 100 complete 0",
        "mumu all 60 incomplete 0",
    ]  # fmt: skip
    whole, first, _ = table(runs=dataset(100, 100, kept=12, rejected=8, blinded=180))
    assert whole == "runs all 200 complete 12 8 180 0"
    assert first == " run0.root 100 complete    0"
    gone = {"dataset": "tautau", "file": "/data/run1.root", "entries": 70, "reason": "It is gone."}
    content = {"datasets": {"tautau": dataset(100), "mumu": dataset(100)}, "missing": [gone]}
    (found,) = tables.completeness_table("Entries", content)
    whole, there, missing, other = ([cell.text for cell in row[1:6]] for row in found.rows)
    assert whole == ["all", "100", "100", "–", "incomplete"]
    assert (there[-1], other[-1]) == ("complete", "complete")
    assert missing == ["run1.root", "0", "0", "70", "missing"]
    content = {"datasets": {"tautau": dataset(100)}, "twice": ["Dataset tautau repeats itself."]}
    _, (caption, _, ((cell,),)) = tables.completeness_table("Entries", content)
    assert (caption, cell.text) == ("What may count wrongly", "Dataset tautau repeats itself.")


@pytest.mark.parametrize(
    ("content", "make"),
    [
        ({"variations": {}}, [tables.variations_table]),
        ({"baselines": {"a": {}}}, [tables.baselines_tables, "methods"]),
        ({"datasets": {"runs": {}}}, [tables.completeness_table, "Entries"]),
        ({"rows": [{}], "said": []}, [tables.sidebands_table]),
        ([1], [tables.claims_tables]),
    ],
)
def test_absent_is_no_table_and_damaged_one_sentence(tmp_path, content, make):
    path = tmp_path / "result.json"
    assert tables.read_tables(path, "results", "punzinet stage", *make) == []
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"result\.json does not hold .* `punzinet stage` again"):
        tables.read_tables(path, "results", "punzinet stage", *make)


def test_optimism_is_that_of_the_events_that_judge_over_others(make):
    sensitivity = make.sensitivity(np.random.default_rng(1))
    seen = {"training": 4.0, "validation": 5.0, "test": 6.0}
    one = replace(sensitivity.networks["punzi"], by_events=seen, mean_error={"single": 0.25})
    table = tables.optimism_table(replace(sensitivity, networks={"punzi": one}))
    assert [*lines(table)[0].values()] == ["punzi", "4", "5", "6.00 ± 0.25", "1.5", "1.2"]
