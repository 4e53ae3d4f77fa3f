"""The example runs, and finds what it is there to find; its notebook is the same, executed."""

import json
import re
import runpy

import matplotlib as mpl
import matplotlib.pyplot as plt
from pages import ROOT

SCRIPT = ROOT / "docs" / "examples" / "punzi_loss.py"


def test_training_makes_the_minimum_detectable_cross_section_small():
    mpl.use("agg")
    example = runpy.run_path(str(SCRIPT))
    plt.close("all")
    assert example["history"][-1] < example["history"][0]
    # Trained outputs as weights beat the untrained ones, and the cut beats no cut.
    assert example["after"] < example["before"]


def test_the_notebook_is_the_script_executed():
    cells = json.loads(SCRIPT.with_suffix(".ipynb").read_text())["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    parts = re.split(r"^# %%.*\n", SCRIPT.read_text(), flags=re.MULTILINE)
    script = [part.strip() for part in parts[1:] if not part.startswith("# #")]
    assert [part for part in script if part in code] == code
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert not any(output["output_type"] == "error" for output in outputs)
    assert SCRIPT.with_suffix(".ipynb").stat().st_size < 200_000
