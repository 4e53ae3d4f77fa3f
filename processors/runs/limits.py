"""The limits stage: from networks and tensors to expected upper limits."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyhf

from punzinet.analysis.io.files import write_json
from punzinet.analysis.io.output import OutputFolder, provenance
from punzinet.analysis.limits.expected import asymptotic_limits, counting_limits
from punzinet.analysis.limits.hepdata import write_hepdata
from punzinet.analysis.limits.model import CountingExperiment, Yields, measure_yields
from punzinet.analysis.limits.result import BANDS, Limits, SelectionLimits, read_sigma_over_g2
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.network import load_network
from punzinet.analysis.types import FloatArray
from punzinet.analysis.windows import Windows
from punzinet.processors.ntuples.trial import processed_of


def run_limits(manifest: Manifest, output: OutputFolder, network: str) -> tuple[list[Path], Limits]:
    """Work out the limits of a network's single cut, and of the BCE network's best cuts.

    Returns:
        All files written, and the limits.

    Raises:
        InputError: If anything is wrong with tensors, networks or cross-sections.
    """
    settings, luminosity = manifest.limits, manifest.luminosity
    windows = Windows.read(output.windows)
    names, reference = {"single": network}, f"bce-{network.rsplit('-', 1)[-1]}"
    if output.network(reference).is_dir():
        names["best"] = reference
    saved = {name: load_network(output.network(name), windows.search) for name in names.values()}
    cut = saved[network].single_cut
    cuts = {"single": cut, "best": None}
    networks = {key: (saved[name].network, cuts[key]) for key, name in names.items()}
    merit = manifest.figure_of_merit, luminosity
    yields = measure_yields(output.tensors, windows, networks, *merit)
    experiments = {
        key: [
            CountingExperiment.of(one, i, float(mass), luminosity, settings)
            for i, mass in enumerate(windows.mass)
        ]
        for key, one in yields.items()
    }
    level = settings.confidence_level
    limits = Limits(
        mass=windows.mass,
        training=windows.training,
        luminosity=luminosity,
        confidence_level=level,
        sigma_over_g2=_sigma_over_g2(manifest, output, windows.mass),
        selections={
            key: _limits_of(name, yields[key], experiments[key], level)
            for key, name in names.items()
        },
    )
    about = provenance(
        manifest.digest,
        stage="limits",
        networks=names,
        cut=cut,
        limits=settings.model_dump(mode="json"),
        **processed_of(output),
    )
    limits.write(output.limits, about)
    workspaces = _write_workspaces(output.workspaces, experiments["single"])
    tables = write_hepdata(output.limits.parent / "hepdata", limits, windows.search)
    return [output.limits, *workspaces, *tables], limits


def _limits_of(
    network: str,
    yields: Yields,
    experiments: Sequence[CountingExperiment | None],
    confidence_level: float,
) -> SelectionLimits:
    """Limits of all hypotheses behind one selection; none where there is no experiment."""
    background, effective = yields.background.sum(axis=0), np.zeros(len(experiments))
    asymptotic, counting = np.full((2, len(experiments), len(BANDS)), np.inf)
    known = [i for i, one in enumerate(experiments) if one is not None]
    models = [one for one in experiments if one is not None]
    background[known] = [one.background for one in models]
    effective[known] = [one.effective_events for one in models]
    asymptotic[known] = asymptotic_limits(models, confidence_level)
    counting[known] = counting_limits(models, confidence_level)
    return SelectionLimits(network, yields.efficiency, background, effective, asymptotic, counting)


def _sigma_over_g2(manifest: Manifest, output: OutputFolder, mass: FloatArray) -> FloatArray:
    """Cross-sections over g′² that are known, (H,) in fb, NaN elsewhere."""
    given = manifest.limits.cross_sections
    if given is not None:
        return read_sigma_over_g2(Path(given), mass)
    if any(d.is_signal and d.simulate for d in manifest.datasets.values()):
        return read_sigma_over_g2(output.cross_sections, mass)
    return np.full(len(mass), np.nan)


def _write_workspaces(folder: Path, experiments: Sequence[CountingExperiment | None]) -> list[Path]:
    """Write the HistFactory workspace of every hypothesis that has a limit."""
    shutil.rmtree(folder, ignore_errors=True)
    known = {
        folder / f"{one.mass:g}.json": one.workspace() for one in experiments if one is not None
    }
    # All as one workspace: pyhf resolves its schema anew whenever it is asked.
    parts = ("channels", "observations", "measurements")
    together = {part: [row for one in known.values() for row in one[part]] for part in parts}
    if known:
        pyhf.schema.validate(together | {"version": "1.0.0"}, "workspace.json")
    for path, workspace in known.items():
        write_json(path, workspace)
    return [*known]
