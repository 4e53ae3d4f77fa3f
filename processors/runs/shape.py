"""The shape stage: from selected events and counting experiments to limits by binned fits."""

from pathlib import Path

import numpy as np

from punzinet.analysis.io.files import read_json, write_json
from punzinet.analysis.io.histograms import read_templates
from punzinet.analysis.io.output import OutputFolder, processed_of, provenance
from punzinet.analysis.limits.binned import expected_limits
from punzinet.analysis.limits.datacard import write_datacards
from punzinet.analysis.limits.result import Limits
from punzinet.analysis.limits.shape import ShapeLimits, Templates
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.windows import Windows


def run_shape(manifest: Manifest, output: OutputFolder) -> tuple[list[Path], ShapeLimits]:
    """Write, and return, limits by fits behind the single cut, and the workspaces of the fits.

    InputError if a result of the stages before is missing or damaged.
    """
    limits, windows = Limits.read(output.limits), Windows.read(output.windows)
    single, level = limits.selections["single"], limits.confidence_level
    templates = Templates.of(read_templates(output.histograms), windows)
    masses, known = limits.mass.tolist(), np.isfinite(single.asymptotic[:, 2]).tolist()
    counting = [
        read_json(output.workspaces / f"{mass:g}.json", "punzinet limits") if there else None
        for mass, there in zip(masses, known, strict=True)
    ]
    fits = {h: templates.spread(h, counting) for h in np.flatnonzero(known).tolist()}
    shape = np.full_like(single.asymptotic, np.inf)
    shape[known] = expected_limits([*fits.values()], level)
    edges = [templates.borders(h).tolist() if h in fits else [] for h in range(len(masses))]
    about = single.network, limits.luminosity, level, limits.mass
    result = ShapeLimits(*about, single.asymptotic, shape, edges)
    origin = {"network": single.network, **processed_of(output)}
    result.write(output.shape, provenance(manifest.digest, stage="shape", **origin))
    written, borders = [output.shape], {}
    cards = {f"{masses[h]:g}": workspace for h, workspace in fits.items()}
    for h, (name, workspace) in zip(fits, cards.items(), strict=True):
        written.append(output.shapes / f"{name}.json")
        write_json(written[-1], workspace)
        borders[name] = edges[h]
    written += write_datacards(output.shapes.with_name("datacards") / "shape", cards, borders)
    return written, result
