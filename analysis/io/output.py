"""Results: where they lie under the output folder, and what each of them says of its origin.

The names of files are the contracts between the stages. The origin is versions, manifest, settings,
seeds and commit.
"""

import hashlib
import json
import platform
import subprocess
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from punzinet.analysis.io.files import read_result

LIBRARIES = ("awkward", "coffea", "hist", "iminuit", "numba", "numpy", "pyarrow", "torch",
             "uproot", "vector")  # fmt: skip
"""Libraries whose version can change a number."""

_TRIAL = TypeAdapter(
    dict[Literal["files", "chunks"], Annotated[int, Field(strict=True, ge=1)] | None]
)


class OutputFolder:
    """The names of all files that stages hand to one another, under the folder `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.stages = root / ".stages"  # records that finished stages leave

        self.simulation = root / "simulation"  # what the simulation says about itself
        self.simulation_record = root / "ntuples" / "simulation.json"  # entries, luminosity, seeds
        self.cross_sections = self.simulation / "cross_sections.json"  # of signal over g'^2
        self.validation = self.simulation / "validation.json"  # against published numbers
        self.spectra = self.simulation / "spectra.json"  # against Pythia 8

        self.windows = root / "windows.json"
        self.tensors = root / "tensors"  # training tensors, one Parquet file a chunk
        self.peaks = root / "features" / "peaks.root"  # of signal, whose fits set the windows
        self.features_cutflow = root / "features" / "cutflow.json"  # events kept and lost
        self.completeness = root / "features" / "completeness.json"  # entries read and expected
        self.data_tensors = root / "data" / "tensors"  # measured events, apart from the above
        self.data_cutflow = root / "data" / "cutflow.json"
        self.data_completeness = root / "data" / "completeness.json"
        self.varied_tensors = root / "variations" / "tensors"  # of varied samples, in the same way
        self.varied_cutflow = root / "variations" / "cutflow.json"
        self.varied_completeness = root / "variations" / "completeness.json"

        self.sensitivity = root / "sensitivity.json"  # σ_min of every network and hypothesis
        self.histograms = root / "selection" / "histograms.root"  # of the window variable
        self.selection_cutflow = root / "selection" / "cutflow.json"
        self.comparison = root / "selection" / "comparison.root"  # data with simulation
        self.limits = root / "limits" / "limits.json"  # expected upper limits of every hypothesis
        self.observed = root / "limits" / "observed.json"  # observed limits and p-values
        self.systematics = root / "limits" / "systematics.json"  # effects and impacts of each
        self.workspaces = root / "limits" / "workspaces"  # HistFactory, one a mass
        self.sidebands = root / "limits" / "sidebands.json"  # beside the windows, if they are used
        self.shape = root / "limits" / "shape.json"  # the same by fits of binned spectra
        self.shapes = root / "limits" / "shapes"  # HistFactory of these, one a mass
        self.baselines = root / "baselines"  # what the networks are compared with

        self.plots = root / "plots"
        self.report = root / "report.html"  # the page that shows everything
        self.paper = root / "paper"  # the reproduction of the paper: claims and figures
        self.claims = self.paper / "claims.json"  # the paper's claims as numbers
        self.variations = self.paper / "variations.json"  # what variations of the recipe change
        self.judgement = root / "judgement.safetensors"  # of a study's networks, in its own folder

    def features(self, stage: str) -> tuple[Path, Path, Path]:
        """Tensors, cutflow and completeness of ``features``, ``variations`` or ``data``."""
        folder = self.root / stage
        tensors = self.tensors if stage == "features" else folder / "tensors"
        return tensors, folder / "cutflow.json", folder / "completeness.json"

    def ntuple(self, dataset: str) -> Path:
        """The ROOT file of a simulated dataset."""
        return self.root / "ntuples" / f"{dataset}.root"

    def network(self, name: str) -> Path:
        """Folder of one trained network."""
        return self.root / "networks" / name

    def ledger(self, stage: str) -> Path:
        """Records of the finished chunks of a stage."""
        return self.root / ".ledger" / stage

    def study(self, name: str) -> "OutputFolder":
        """Folder of one of the paper's trainings, with networks and sensitivity of its own."""
        return OutputFolder(self.paper / "studies" / name)


def command_of(stage: str) -> str:
    """The command that runs a stage: data and variations have none of their own."""
    return "features" if stage in {"data", "variations"} else stage


def digest(content: Any) -> str:
    """SHA-256 of anything that JSON can express; equal content gives equal digests."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


#: Where a setting is in one of two runs only.
_ABSENT = object()


def changes(key: str, then: Any, now: Any) -> Iterator[str]:
    """What to say of each difference between two JSON values, with its dotted key."""
    if then == now:
        return
    if isinstance(then, dict) and isinstance(now, dict):
        for name in dict.fromkeys([*then, *now]):
            inner = f"{key}.{name}" if key else name
            yield from changes(inner, then.get(name, _ABSENT), now.get(name, _ABSENT))
    elif then is _ABSENT:
        yield f"`{key}` is new: {_shown(now)}"
    elif now is _ABSENT:
        yield f"`{key}` is gone: it was {_shown(then)}"
    else:
        yield f"`{key}` changed from {_shown(then)} to {_shown(now)}"


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


@cache
def git_commit() -> str | None:
    """Commit of the checkout this package runs from, ``-dirty`` if changed; None for a wheel."""
    here = Path(__file__)

    def git(*arguments: str) -> str:
        command = ["git", *arguments]
        done = subprocess.run(  # noqa: S603 - the arguments are the two calls below
            command, cwd=here.parent, capture_output=True, text=True, check=True, timeout=10
        )
        return done.stdout.strip()

    try:
        # An installed copy may lie inside somebody else's checkout: not this file's commit.
        git("ls-files", "--error-unmatch", here.name)
        return git("describe", "--always", "--dirty", "--abbrev=40", "--match=")
    except (OSError, subprocess.SubprocessError):
        return None


@cache
def versions() -> dict[str, str]:
    """Versions of Python, this package and every library that can change a number."""
    libraries = {name: metadata.version(name) for name in ("punzinet", *LIBRARIES)}
    return {"python": platform.python_version(), **libraries}


def provenance(manifest_digest: str, **settings: Any) -> dict[str, Any]:
    """What is written into every JSON and every network.

    It holds no time and no host name, so that equal inputs give equal bytes. The settings are those
    that the stage used, as JSON can express them.
    """
    made_by = {"git_commit": git_commit(), "manifest": manifest_digest}
    return {**made_by, "settings": settings, "versions": versions()}


def processed_of(output: OutputFolder, stage: str = "features") -> dict[str, Any]:
    """What provenance of all that is made of a stage's results says if they are of a part only.

    That is the trial of features or select, and the processed share of datasets. InputError if what
    it left is damaged: then nobody knows whether it was a trial run.
    """
    path = output.completeness if stage == "features" else output.selection_cutflow
    if not path.exists():
        return {}
    with read_result(path, "counts and provenance", f"punzinet {stage}") as content:
        settings = content["provenance"]["settings"]
        shares = {name: float(share) for name, share in settings.get("processed", {}).items()}
        trial = _TRIAL.validate_python(settings.get("trial", {}))
    found = {"processed": shares, "trial": trial}
    return {name: content for name, content in found.items() if content}
