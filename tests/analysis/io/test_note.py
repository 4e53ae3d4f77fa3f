"""Tables for a note: nothing is lost as CSV, and LaTeX takes them."""

import csv

import numpy as np
import pytest

from punzinet.analysis.io import note

SPECIAL = "".join({"&", "%", "$", "#", "_", "{", "}", "~", "^", "\\"})


def test_every_special_character_is_escaped():
    for character in SPECIAL:
        assert note.latex_text(f"a{character}b") not in (f"a{character}b", "ab")
    assert note.latex_text("tau_pair 50% & {x}") == r"tau\_pair 50\% \& \{x\}"
    assert note.latex_text("\\~^") == r"\textbackslash{}\textasciitilde{}\textasciicircum{}"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.23456, "$1.23$"),
        (123456.0, r"$1.23\times10^{5}$"),
        (2.866e-7, r"$2.87\times10^{-7}$"),
        (0.19, "$0.190$"),
        (655.2, "$655$"),
        (0.0, "$0$"),
        (np.inf, "--"),
        (np.nan, "--"),
    ],
)
def test_numbers(value, text):
    assert note.latex_number(value) == text


@pytest.mark.parametrize(
    ("band", "text"),
    [
        ((1.5, 2.0, 3.25), "$2.00^{+1.25}_{-0.50}$"),
        ((150, 234.4, 300), "$234^{+66}_{-84}$"),
        ((0.012, 0.02, 0.031), "$0.0200^{+0.0110}_{-0.0080}$"),
        ((np.inf, np.inf, np.inf), "--"),
    ],
)
def test_bands_have_the_decimals_of_the_median(band, text):
    assert note.latex_band(*band) == text


def test_cutflows_stand_beside_their_file_with_all_digits(tmp_path):
    lines = [("entries read", 10, 1 / 3), ("dropped: p_T & more", 3, 0.0), ("kept", 7, 123456.7)]
    flow = [dict(zip(("step", "entries", "weight"), line, strict=True)) for line in lines]
    datasets = {"tau_pair": {"process": "tautau", "cutflow": flow}}
    datasets["mu"] = {"process": "mumugamma", "cutflow": flow[:1]}
    table, latex = note.write_cutflow(tmp_path / "cutflow.json", datasets)
    with table.open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["dataset", "process", "step", "entries", "weighted"]
    assert [(row[2], int(row[3]), float(row[4])) for row in rows[:3]] == lines
    assert rows[3][:2] == ["mu", "mumugamma"]
    body = latex.read_text()
    assert body.startswith(r"\begin{tabular}{llrr}" + "\n\\toprule\n")
    assert r"tau\_pair & entries read & 10 & $0.333333$ \\" in body
    assert r" & dropped: p\_T \& more & 3 & $0$ \\" in body
    assert body.count("\\midrule") == 2
    assert all(
        line.count("&") - line.count(r"\&") == 3 for line in body.splitlines() if "&" in line
    )


def test_what_is_not_finite_is_empty(tmp_path):
    path = note.write_csv(tmp_path / "a.csv", [["a", "b"], [np.inf, 1.5], [float("nan"), "x"]])
    assert path.read_text() == "a,b\n,1.5\n,x\n"
