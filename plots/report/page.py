"""The report: everything a run has found on one page that needs nothing else."""

import base64
import math
import re
from collections.abc import Collection, Iterable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import numpy as np
import yaml

from punzinet.analysis.io.files import read_json, write_whole
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.limits.observed import Observation
from punzinet.analysis.limits.result import Limits
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.observables import Quantity
from punzinet.analysis.sensitivity import Sensitivity
from punzinet.analysis.windows import Windows
from punzinet.plots.report import tables
from punzinet.plots.report.limits import (
    conclusion,
    expected_table,
    observed_table,
    systematics_tables,
)
from punzinet.plots.report.lookup import lookup_data
from punzinet.plots.report.tables import below, number, plain_label

TEMPLATES = Path(__file__).parent / "templates"
#: Options of `json.dumps` for the data in the page; Jinja's filter escapes closing tags in it.
JSON = {"allow_nan": False, "separators": (",", ":"), "ensure_ascii": False}


class Comparison(NamedTuple):
    """What another run differs in."""

    other: OutputFolder
    tables: list[tables.Table]
    figures: list[Path]  # files of all figures drawn


def make_report(
    output: OutputFolder,
    manifest: Manifest,
    network: str,
    *,
    own: Collection[Path],
    times: Iterable[tuple[str, float, str]],
    compared: Comparison | None,
) -> list[Path]:
    """Write the report of all results, with the network whose cut the selection applied.

    Of figures, baselines and what is observed only the run's `own` files are shown; beside them a
    comparison with another run. The times say when each stage began, for how long it ran, s, and
    its name. InputError if a result of the chain is missing, or any result is damaged.
    """
    windows = Windows.read(output.windows)
    search = windows.search
    sensitivity = Sensitivity.read(output.sensitivity)
    timing, total = tables.timing_table(times)
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.loader = jinja2.FileSystemLoader(TEMPLATES)
    as_yaml = partial(yaml.safe_dump, sort_keys=False, allow_unicode=True, width=100)
    environment.filters |= {"number": number, "yaml": as_yaml}
    environment.policies["json.dumps_kwargs"] = JSON
    words = "particle", "reaction", "decay"
    seen = Observation.read(output.observed) if output.observed in own else None
    page = environment.get_template("report.html.j2").render(
        manifest=manifest,
        sensitivity=sensitivity,
        network=network,
        mass=windows.mass.tolist(),
        **_results(output, own),
        **averages(sensitivity),
        # The median, not the smallest: that is where hardly any simulated background passes.
        median=float(np.median(sensitivity.networks[network].single.sigma_min)),
        search={name: plain_label(search.particle, getattr(search, name)) for name in words},
        variable=search.variable,
        pictures=_pictures(output, search.variable.mass, own, compared),
        observed=seen and observed_table(seen),
        conclusion=seen and conclusion(seen),
        compared=compared,
        windows=tables.windows_table(windows),
        networks=tables.networks_table(sensitivity, output),
        optimism=tables.optimism_table(sensitivity),
        timing=timing,
        total=total,
        provenance=_provenance(output),
        data=lookup_data(manifest, output, windows, sensitivity, network),
    )
    return [write_whole(output.report, page)]


def _results(output: OutputFolder, own: Collection[Path]) -> dict[str, list[tables.Table]]:
    features, select = "punzinet features", "punzinet select"
    entries = "read, present and expected"
    flow, complete = tables.cutflow_table, tables.completeness_table
    simulated, kept = "Simulation: events that are left", "entries dropped and kept"
    selected, hidden = f"Selection: {kept}", "Data: entries dropped, hidden and kept"
    # Section, file, command that makes it, and what makes its tables with which arguments.
    sources: list[tuple[str, Path, str, *tuple[Any, ...]]] = [
        ("claims", output.claims, "make paper", tables.claims_tables),
        ("variations", output.variations, "make paper-studies", tables.variations_table),
        ("limits", output.systematics, "punzinet limits", systematics_tables),
        ("limits", output.sidebands, "punzinet limits", tables.sidebands_table),
        ("validation", output.validation, "punzinet validate-simulation", tables.validation_table),
        ("cutflows", output.simulation_record, "punzinet simulate", flow, simulated, "events"),
        ("cutflows", output.features_cutflow, features, flow, f"Features: {kept}", "entries"),
        ("cutflows", output.varied_cutflow, features, flow, f"Variations: {kept}", "entries"),
        ("cutflows", output.data_cutflow, features, flow, hidden, "entries"),
        ("cutflows", output.selection_cutflow, select, flow, selected, "entries"),
        ("completeness", output.completeness, features, complete, f"Entries {entries}"),
        ("completeness", output.varied_completeness, features, complete, f"Variations: {entries}"),
        ("completeness", output.data_completeness, features, complete, f"Data: entries {entries}"),
    ]
    sources += [
        ("baselines", path, "punzinet baselines", tables.baselines_tables, path.stem)
        for path in _found(output.baselines, ".json", own)
    ]
    expected = [expected_table(Limits.read(output.limits))] if output.limits.exists() else []
    found: dict[str, list[tables.Table]] = {"baselines": [], "limits": expected}
    for section, path, made_by, *make in sources:
        content = "counts of entries" if section == "completeness" else section
        found.setdefault(section, []).extend(tables.read_tables(path, content, made_by, *make))
    return found


def averages(sensitivity: Sensitivity) -> dict[str, Any]:
    """Average σ_min in fb of all Punzi-nets at one cut and of BCE at best cuts, as it is written.

    And the ratio of the two, how many Punzi-nets there are, and how many without a finite mean.
    Where cross-entropy finds nothing, there is nothing to compare: such masses are ``lost``.
    """
    every, networks = sensitivity.training, sensitivity.networks
    singles = [networks[name].single for name in sensitivity.of_loss("punzi")]
    best = [networks[name].optimal for name in sensitivity.of_loss("bce")]
    found = np.all([every, *(np.isfinite(one.sigma_min) for one in best)], axis=0)
    trained = found if found.any() else every
    average = sensitivity.figure_of_merit.averaged
    means = [[average(one.sigma_min[trained]) for one in cuts] for cuts in (singles, best)]
    limits = [any(one.bound[trained].any() for one in cuts) for cuts in (singles, best)]
    one, bce = (float(np.mean(each)) for each in means)
    known = math.isfinite(one + bce)
    return {
        "one": below(one, limits[0], digits=3),
        "bce": below(bce, limits[1], digits=3),
        "ratio": "≈ " * (known and any(limits)) + number(bce / one if known else None, 3),
        "lost": ", ".join(f"{mass:g}" for mass in sensitivity.mass[every & ~trained]),
        "averaged": int(trained.sum()),
        "count": len(singles),
        "unseen": int(np.isinf(means[0]).sum()),
    }


class Picture(NamedTuple):
    """A figure of the report; as an image, a vector graphic runs nothing and loads nothing."""

    name: str  # of its file, without suffix
    title: str
    caption: str
    data: str  # address that holds all of it


def read_captions(mass: Quantity) -> dict[str, dict[str, list[str]]]:
    """Title and caption of each figure by section and name; the mass names its spectrum."""
    content = (TEMPLATES / "captions.yaml").read_text("utf-8")
    sections: dict[str, dict[str, list[str]]] = yaml.safe_load(content)
    title, caption = sections["run"].pop("mass")
    spectrum = [title.format(title=mass.title.capitalize()), caption]
    sections["run"] = {mass.file_name: spectrum, **sections["run"]}
    return sections


def _found(folder: Path, suffix: str, own: Collection[Path]) -> list[Path]:
    """Own files in a folder; the user's beside them are not the report's."""
    return sorted(p for p in own if p.parent == folder and p.suffix == suffix and p.is_file())


def read_pictures(
    folder: Path, captions: dict[str, list[str]], own: Collection[Path]
) -> list[Picture]:
    """Read own figures in a folder, vector graphics rather than pixels.

    They come in the order of the captions, others follow by name.
    """
    found = {path.stem: path for kind in (".png", ".svg") for path in _found(folder, kind, own)}
    pictures = []
    for name in [*(name for name in captions if name in found), *sorted({*found} - {*captions})]:
        words = re.sub(r"[_-]+", " ", name).strip().capitalize()
        title, caption = captions.get(name, (words, ""))
        data = base64.b64encode(found[name].read_bytes()).decode()
        kind = {".svg": "svg+xml"}.get(found[name].suffix, "png")
        pictures.append(Picture(name, title, caption, f"data:image/{kind};base64,{data}"))
    return pictures


def _pictures(
    output: OutputFolder, mass: Quantity, own: Collection[Path], compared: Comparison | None
) -> dict[str, list[Picture]]:
    """All figures by section; of a comparison also the spectra of the mass of both runs."""
    captions = read_captions(mass)
    folders = {"paper": output.paper, "baselines": output.baselines}
    folders["validation"] = output.simulation
    found = {name: read_pictures(folder, captions[name], own) for name, folder in folders.items()}
    of_limits = captions["observed"] | captions["limits"]
    plots = read_pictures(output.plots, captions["run"] | of_limits, own)
    found["run"] = [one for one in plots if one.name not in of_limits]
    for section in ("observed", "limits"):
        found[section] = [one for one in plots if one.name in captions[section]]
    found["compared"] = []
    if compared:
        folder = output.root / "compared"
        found["compared"] = read_pictures(folder, captions["compared"], compared.figures)
        for run, shown in {"this run": output, "the other run": compared.other}.items():
            spectrum = [shown.plots / f"{mass.file_name}.svg"]
            for one in read_pictures(shown.plots, captions["run"], spectrum):
                found["compared"].append(one._replace(title=f"{one.title}: {run}"))
    return found


def _provenance(output: OutputFolder) -> dict[str, Any]:
    """Where results come from: commit, manifest, versions and settings."""
    results = {
        "simulation": output.simulation_record,
        "features": output.windows,
        "training": output.sensitivity,
        "selection": output.selection_cutflow,
    }
    there = {name: path for name, path in results.items() if path.exists()}
    return {name: read_json(path, "make").get("provenance") for name, path in there.items()}
