"""ROOT, in a process of its own: its compiler and numba's do not share one."""

import json
import sys
import textwrap
from importlib.util import find_spec

import numpy as np
import pytest
from commands import run

MISSING = "ROOT is not installed (`pip install '.[root]'`)"
NEEDS_ROOT = pytest.mark.skipif(not find_spec("ROOT"), reason=MISSING)

#: CLs of workspaces at cross-sections, observed and at five bands, by HistFactory and RooStats.
CLS = """
import json
from ROOT.RooStats import AsymptoticCalculator, HistFactory

ROOT.RooMsgService.instance().setGlobalKillBelow(ROOT.RooFit.WARNING)
AsymptoticCalculator.SetPrintLevel(-1)


def histogram(values):
    values = np.array(values, float)
    found = ROOT.TH1D("", "", len(values), 0.0, len(values))
    found.SetContent(np.pad(values, 1))
    ROOT.SetOwnership(found, False)
    return found


def model_of(workspace):
    measurement = HistFactory.Measurement("measurement", "")
    measurement.SetPOI("cross_section")
    measurement.SetLumi(1.0)
    measurement.AddConstantParam("Lumi")
    (content,), (observation,) = workspace["channels"], workspace["observations"]
    ((bounds,),) = (one["bounds"] for one in workspace["measurements"][0]["config"]["parameters"])
    channel = HistFactory.Channel(content["name"])
    channel.SetData(histogram(observation["data"]))
    for row in content["samples"]:
        sample = HistFactory.Sample(row["name"])
        sample.SetNormalizeByTheory(False)
        sample.SetHisto(histogram(row["data"]))
        for name, kind, data in ((m["name"], m["type"], m["data"]) for m in row["modifiers"]):
            if kind == "normfactor":
                sample.AddNormFactor(name, 1.0, *bounds)
            elif kind == "normsys":
                sample.AddOverallSys(name, data["lo"], data["hi"])
            elif kind == "histosys":
                varied = HistFactory.HistoSys()
                varied.SetName(name)
                varied.SetHistoLow(histogram(data["lo_data"]))
                varied.SetHistoHigh(histogram(data["hi_data"]))
                sample.AddHistoSys(varied)
            else:
                varied = HistFactory.ShapeSys()
                varied.SetName(name)
                varied.SetConstraintType(HistFactory.Constraint.Poisson)
                varied.SetErrorHist(histogram(np.divide(data, row["data"])))
                sample.AddShapeSys(varied)
        channel.AddSample(sample)
    measurement.AddChannel(channel)
    return HistFactory.HistoToWorkspaceFactoryFast.MakeCombinedModel(measurement)


def cls_of(workspace, cross_sections, nominal):
    model = model_of(workspace)
    model.saveSnapshot("nominal", model.allVars())
    with_signal = model.obj("ModelConfig")
    strength = with_signal.GetParametersOfInterest().first()
    strength.setVal(0)
    background = with_signal.Clone("background")
    background.SetSnapshot(ROOT.RooArgSet(strength))
    for cross_section in cross_sections:
        model.loadSnapshot("nominal")
        strength.setVal(cross_section)
        with_signal.SetSnapshot(ROOT.RooArgSet(strength))
        data = model.data("obsData")
        calculator = AsymptoticCalculator(data, background, with_signal, nominal)
        calculator.SetOneSided(True)
        calculator.SetQTilde(True)
        found = calculator.GetHypoTest()
        found.SetBackgroundAsAlt(True)
        p_values = found.NullPValue(), found.AlternatePValue()
        bands = (calculator.GetExpectedPValues(*p_values, n, True) for n in range(-2, 3))
        yield [found.CLs(), *bands]


with open(sys.argv[1]) as file:
    print(json.dumps([[*cls_of(*one)] for one in json.load(file)]))
"""


def in_root(script, *arguments):
    """Run a script with ROOT, the arguments in `sys.argv`, and return what it printed."""
    start = "import sys, warnings; warnings.simplefilter('ignore'); import ROOT, numpy as np\n"
    program = start + textwrap.dedent(script)
    done = run(sys.executable, "-c", program, *map(str, arguments), folder=None)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def check_by_roostats(path, workspaces, limits, level):
    """RooStats excludes a thousandth more than limits (M, 5), or observed ones (M,), and no less.

    The workspaces are written to the path.
    """
    nominal = limits.ndim > 1  # Asimov data; else of a fit, by Minuit
    columns = range(1, 6) if nominal else [0]
    tried = limits.reshape(len(workspaces), -1, 1) * [0.999, 1.001]
    each = tried.reshape(len(workspaces), -1).tolist()
    path.write_text(json.dumps([(*one, nominal) for one in zip(workspaces, each, strict=True)]))
    found = np.reshape(json.loads(in_root(CLS, path)), (*tried.shape, 6))
    below, above = np.array([found[:, i, :, of] for i, of in enumerate(columns)]).T
    assert (below > 1 - level).all()
    assert (above < 1 - level).all()
