"""The limits stage: from networks and tensors to expected upper limits."""

import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyhf

from punzinet.analysis.io.files import write_json
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.io.provenance import provenance
from punzinet.analysis.limits.asymptotic import BANDS, asymptotic_limits
from punzinet.analysis.limits.counting import counting_limits
from punzinet.analysis.limits.hepdata import write_hepdata
from punzinet.analysis.limits.model import CountingExperiment
from punzinet.analysis.limits.result import Limits, SelectionLimits, read_sigma_over_g2
from punzinet.analysis.limits.yields import Yields, measure_yields
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.network import PunziNet, load_network
from punzinet.analysis.types import FloatArray
from punzinet.analysis.windows import Windows
from punzinet.processors.ntuples.trial import processed_of

Experiments = list[CountingExperiment | None]


def run_limits(
    manifest: Manifest,
    output: OutputFolder,
    network: str,
    track: Callable[[Experiments, str], Iterator[CountingExperiment | None]],
) -> tuple[list[Path], Limits]:
    """Work out the limits of a network's single cut, and of the BCE network's best cuts.

    Args:
        manifest: Luminosity, figure of merit and uncertainties.
        output: Where tensors and networks lie and results go.
        network: Network whose single cut is used.
        track: Goes through a list, showing the title that it is given.

    Returns:
        All files written, and the limits.

    Raises:
        InputError: If anything is wrong with tensors, networks or cross-sections.
    """
    settings = manifest.limits
    windows = Windows.read(output.windows)
    saved = load_network(output.network(network), windows.search)
    cut = saved.single_cut
    names = {"single": network}
    best: dict[str, PunziNet] = {}
    reference = f"bce-{network.rsplit('-', 1)[-1]}"
    if output.network(reference).is_dir():
        names["best"] = reference
        best["best"] = load_network(output.network(reference), windows.search).network
    yields = measure_yields(
        output.tensors,
        windows,
        single={"single": (saved.network, cut)},
        best=best,
        figure_of_merit=manifest.figure_of_merit,
        luminosity=manifest.luminosity,
    )
    experiments: dict[str, Experiments] = {
        key: [
            CountingExperiment.of(one, i, float(mass), manifest.luminosity, settings)
            for i, mass in enumerate(windows.mass)
        ]
        for key, one in yields.items()
    }
    selections = {
        key: _limits_of(names[key], yields[key], settings.confidence_level,
                        experiments[key], track(experiments[key], f"Limits of {names[key]}"))
        for key in names
    }  # fmt: skip
    limits = Limits(
        mass=windows.mass,
        training=windows.training,
        luminosity=manifest.luminosity,
        confidence_level=settings.confidence_level,
        sigma_over_g2=_sigma_over_g2(manifest, output, windows.mass),
        selections=selections,
    )
    about = provenance(
        manifest.digest,
        stage="limits",
        networks=names,
        cut=cut,
        limits=settings.model_dump(mode="json"),
        **processed_of(output),
    )
    written = [output.limits, *_write_workspaces(output, experiments["single"])]
    limits.write(output.limits, about)
    return [
        *written,
        *write_hepdata(output.limits.parent / "hepdata", limits, windows.search),
    ], limits


def _limits_of(
    network: str,
    yields: Yields,
    confidence_level: float,
    experiments: Experiments,
    tracked: Iterator[CountingExperiment | None],
) -> SelectionLimits:
    """Limits of all hypotheses behind one selection.

    Args:
        network: Name of the network.
        yields: Its yields.
        confidence_level: Such as 0.9.
        experiments: The model of each hypothesis, None where there is no limit.
        tracked: The same ones, showing progress.
    """
    asymptotic, counting = [], []
    for experiment in tracked:
        nothing = np.full(len(BANDS), np.inf)
        one, other = nothing, nothing
        if experiment is not None:
            one = asymptotic_limits(experiment, confidence_level)
            other = counting_limits(experiment, confidence_level)
        asymptotic.append(one)
        counting.append(other)
    background = np.array([e.background if e else np.nan for e in experiments])
    variance = np.array(
        [sum(b.events**2 / b.effective for b in e.backgrounds) if e else 1.0 for e in experiments]
    )
    return SelectionLimits(
        network=network,
        efficiency=yields.efficiency,
        background=np.where(np.isnan(background), yields.background.sum(axis=0), background),
        effective_events=np.where(np.isnan(background), 0.0, background**2 / variance),
        asymptotic=np.array(asymptotic),
        counting=np.array(counting),
    )


def _sigma_over_g2(manifest: Manifest, output: OutputFolder, mass: FloatArray) -> FloatArray:
    """Cross-sections over g′² that are known, (H,) in fb, NaN elsewhere."""
    given = manifest.limits.cross_sections
    if given is not None:
        return read_sigma_over_g2(Path(given), mass)
    if any(d.is_signal and d.simulate for d in manifest.datasets.values()):
        return read_sigma_over_g2(output.cross_sections, mass)
    return np.full(len(mass), np.nan)


def _write_workspaces(output: OutputFolder, experiments: Experiments) -> list[Path]:
    """Write the HistFactory workspace of every hypothesis that has a limit.

    Raises:
        pyhf.exceptions.InvalidSpecification: If one does not follow pyhf's schema.
    """
    folder = output.workspaces
    shutil.rmtree(folder, ignore_errors=True)
    paths = []
    for experiment in experiments:
        if experiment is None:
            continue
        workspace = experiment.workspace()
        validate(workspace)
        path = folder / f"{experiment.mass:g}.json"
        write_json(path, workspace)
        paths.append(path)
    return paths


def validate(workspace: dict[str, Any]) -> None:
    """Check a workspace against the schema that pyhf comes with.

    Raises:
        pyhf.exceptions.InvalidSpecification: If it does not follow it.
    """
    with warnings.catch_warnings():
        # pyhf resolves references in its schema in a way that jsonschema wants to give up.
        warnings.filterwarnings("ignore", "jsonschema.RefResolver", DeprecationWarning)
        pyhf.schema.validate(workspace, "workspace.json")
