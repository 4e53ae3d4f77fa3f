"""The report: everything a run has found on one page that needs nothing else."""

import base64
import math
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import numpy as np
import yaml

from punzinet.analysis.io.files import InputError, atomic_path, read_json
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.limits.observed import Observation
from punzinet.analysis.limits.result import Limits
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.observables import Quantity
from punzinet.analysis.sensitivity import Sensitivity
from punzinet.analysis.windows import Windows
from punzinet.plots.report import tables
from punzinet.plots.report.limits import expected_table, observed_tables, systematics_tables
from punzinet.plots.report.lookup import lookup_data
from punzinet.plots.report.tables import below, number, plain_label

TEMPLATES = Path(__file__).parent / "templates"
#: How the data of the page is written; the filter escapes what would close the script around it.
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
    own: Collection[Path] | None = None,
    compared: Comparison | None = None,
) -> list[Path]:
    """Write the report of all results, with the network whose cut the selection applied.

    Of figures and baselines only its `own` files are shown, if it is said which these are; beside
    them a comparison with another run.
    InputError if a result of the chain is missing, or any result is damaged.
    """
    windows = Windows.read(output.windows)
    search = windows.search
    sensitivity = Sensitivity.read(output.sensitivity)
    if network not in sensitivity.networks:
        raise InputError(
            f"{output.sensitivity} knows no network {network}; it knows "
            f"{', '.join(sensitivity.networks)} (--network)."
        )
    captions = read_captions(search.variable.mass)
    of_limits = captions["observed"] | captions["limits"]
    pictures = read_pictures(output.plots, captions["run"] | of_limits, own)
    timing, total = tables.timing_table(output.stages)
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.loader = jinja2.FileSystemLoader(TEMPLATES)
    environment.filters |= {"number": number, "yaml": _yaml}
    environment.policies["json.dumps_kwargs"] = JSON
    words = "particle", "reaction", "decay"
    shown: dict[str, Any] = {"manifest": manifest, "sensitivity": sensitivity, "network": network}
    shown |= {"mass": windows.mass.tolist(), "trained": int(windows.training.sum())}
    shown |= {"compared": compared, "timing": timing, "total": total}
    page = environment.get_template("report.html.j2").render(
        **shown,
        **_results(output, own),
        **_averages(sensitivity),
        # The median, not the smallest: that is where hardly any simulated background passes.
        median=float(np.median(sensitivity.networks[network].single.sigma_min)),
        search={name: plain_label(search.particle, getattr(search, name)) for name in words},
        variable=search.variable,
        figures=[one for one in pictures if one.name not in of_limits],
        limit_pictures=[one for one in pictures if one.name in captions["limits"]],
        observed_pictures=[one for one in pictures if one.name in captions["observed"]],
        observed=_observed(output, own),
        paper=read_pictures(output.paper, captions["paper"], own),
        baseline_pictures=read_pictures(output.baselines, captions["baselines"], own),
        validation_pictures=read_pictures(output.simulation, captions["validation"], own),
        compared_pictures=_compared(output, captions, compared),
        windows=tables.windows_table(windows),
        networks=tables.networks_table(sensitivity, output),
        optimism=tables.optimism_table(sensitivity),
        provenance=_provenance(output),
        data=lookup_data(manifest, output, windows, sensitivity, network),
    )
    with atomic_path(output.report) as partial_path:
        partial_path.write_text(page, encoding="utf-8")
    return [output.report]


def _results(output: OutputFolder, own: Collection[Path] | None) -> dict[str, list[tables.Table]]:
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
    for path in _found(output.baselines, "json", own):
        title = path.stem.replace("_", " ")
        sources.append(("baselines", path, "punzinet baselines", tables.baselines_tables, title))
    expected = [expected_table(Limits.read(output.limits))] if output.limits.exists() else []
    found: dict[str, list[tables.Table]] = {"baselines": [], "limits": expected}
    for section, path, made_by, *make in sources:
        content = "counts of entries" if section == "completeness" else section
        found.setdefault(section, []).extend(tables.read_tables(path, content, made_by, *make))
    return found


def _observed(output: OutputFolder, own: Collection[Path] | None) -> list[tables.Table]:
    """What is observed, if anything is."""
    if not output.observed.exists() or (own is not None and output.observed not in own):
        return []
    return observed_tables(Observation.read(output.observed))


def _averages(sensitivity: Sensitivity) -> dict[str, Any]:
    """Average σ_min in fb of all Punzi-nets at one cut and of BCE at best cuts, as it is written.

    And the ratio of the two, how many Punzi-nets there are, and how many without a finite mean.
    """
    average = sensitivity.figure_of_merit.averaged
    trained, means, limits = sensitivity.training, [], []
    for loss, cut in (("punzi", "single"), ("bce", "optimal")):
        networks = sensitivity.networks.items()
        chosen = [getattr(one, cut) for name, one in networks if name.split("-")[0] == loss]
        means.append([average(one.sigma_min[trained]) for one in chosen] or [np.nan])
        limits.append(any(one.bound[trained].any() for one in chosen))
    one, bce = (float(np.mean(each)) for each in means)
    known = math.isfinite(one + bce)
    said = {"one": below(one, limits[0], digits=3), "bce": below(bce, limits[1], digits=3)}
    said["ratio"] = "≈ " * (known and any(limits)) + number(bce / one if known else None, 3)
    return {**said, "count": len(means[0]), "unseen": int(np.isinf(means[0]).sum())}


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


def _found(folder: Path, kind: str, own: Collection[Path] | None) -> list[Path]:
    """The user's files beside them are not the report's."""
    return [path for path in sorted(folder.glob(f"*.{kind}")) if own is None or path in own]


def read_pictures(
    folder: Path, captions: dict[str, list[str]], own: Collection[Path] | None = None
) -> list[Picture]:
    """Read all figures of a folder that may be absent, vector graphics rather than pixels.

    They come in the order of the captions, others follow by name.
    """
    found = {path.stem: path for kind in ("png", "svg") for path in _found(folder, kind, own)}
    pictures = []
    for name in [*(name for name in captions if name in found), *sorted({*found} - {*captions})]:
        words = re.sub(r"[_-]+", " ", name).strip().capitalize()
        title, caption = captions.get(name, (words, ""))
        data = base64.b64encode(found[name].read_bytes()).decode()
        kind = {".svg": "svg+xml"}.get(found[name].suffix, "png")
        pictures.append(Picture(name, title, caption, f"data:image/{kind};base64,{data}"))
    return pictures


def _compared(
    output: OutputFolder, captions: dict[str, Any], compared: Comparison | None
) -> list[Picture]:
    """Figures of a comparison, and the spectrum of the mass of both runs."""
    if compared is None:
        return []
    pictures = read_pictures(output.root / "compared", captions["compared"], compared.figures)
    spectrum = next(iter(captions["run"]))
    for run, shown in {"this run": output, "the other run": compared.other}.items():
        found = read_pictures(shown.plots, captions["run"], [shown.plots / f"{spectrum}.svg"])
        pictures += [one._replace(title=f"{one.title}: {run}") for one in found]
    return pictures


def _provenance(output: OutputFolder) -> list[dict[str, Any]]:
    """Where each result comes from: commit, manifest, versions and settings."""
    result = []
    for stage, path in (
        ("simulation", output.simulation_record),
        ("features", output.windows),
        ("training", output.sensitivity),
        ("selection", output.selection_cutflow),
    ):
        about = read_json(path, "make").get("provenance") if path.exists() else None
        if isinstance(about, dict):
            versions = about.get("versions")
            known = versions.items() if isinstance(versions, dict) else ()
            commit = about.get("git_commit") or "not from a git checkout"
            words = {"stage": stage, "commit": commit, "manifest": about.get("manifest")}
            words["versions"] = ", ".join(f"{name} {version}" for name, version in known)
            result.append({**words, "settings": about.get("settings")})
    return result


def _yaml(content: Any) -> str:
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)
