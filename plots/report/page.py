"""The report: everything a run has found on one page that needs nothing else."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import yaml
from markupsafe import Markup

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.io.files import atomic_path, read_json
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.sensitivity import Sensitivity
from punzinet.analysis.windows import Windows
from punzinet.plots.report.lookup import lookup_data
from punzinet.plots.report.numbers import duration, number, plain_label
from punzinet.plots.report.pictures import (
    BASELINES,
    LIMITS,
    PAPER,
    VALIDATION,
    captions_of_run,
    read_pictures,
)
from punzinet.plots.report.samples import (
    completeness_table,
    cutflow_table,
    mean_sigma_min,
    networks_table,
    read_optional,
    timing_table,
    windows_table,
)
from punzinet.plots.report.tables import (
    Table,
    any_tables,
    baselines_table,
    claims_tables,
    limits_table,
    validation_table,
    variations_table,
)


def make_report(output: OutputFolder, manifest: Manifest, network: str) -> list[Path]:
    """Write the report of all results in an output folder.

    Args:
        output: Where results lie and the report goes.
        manifest: What is analysed, and how processes are written.
        network: The network whose cut the selection applied.

    Returns:
        The page.

    Raises:
        InputError: If a result of the chain is missing, or any result is damaged.
    """
    windows = Windows.read(output.windows)
    search = windows.search
    sensitivity = Sensitivity.read(output.sensitivity)
    if network not in sensitivity.networks:
        raise InputError(
            f"{output.sensitivity} knows no network {network}; it knows "
            f"{', '.join(sensitivity.networks)} (--network)."
        )
    labels = {name: plain_label(name, text) for name, text in manifest.processes.items()}
    limits = read_optional(output.limits, "punzinet limits")
    baselines = _results(output.baselines)
    pictures = read_pictures(output.plots, {**captions_of_run(search), **LIMITS})
    timing, seconds = timing_table(output.stages)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("report.html.j2").render(
        summary=_summary(sensitivity, network),
        luminosity=number(manifest.luminosity),
        network=network,
        masses=_masses(windows),
        search={
            name: plain_label(search.particle, getattr(search, name))
            for name in ("particle", "reaction", "decay")
        },
        mass_title=search.variable.mass.title,
        figures=[picture for picture in pictures if picture.name not in LIMITS],
        paper=read_pictures(output.paper, PAPER),
        claims=claims_tables(read_optional(output.claims, "make paper")),
        variations=variations_table(read_optional(output.variations, "make paper-studies")),
        baselines=_tables(baselines),
        limits=limits_table(limits),
        limit_pictures=[picture for picture in pictures if picture.name in LIMITS],
        baseline_pictures=read_pictures(output.baselines, BASELINES),
        validation_pictures=read_pictures(output.simulation, VALIDATION),
        validation=validation_table(
            read_optional(output.simulation / "validation.json", "punzinet validate-simulation")
        ),
        cutflows=_cutflows(output),
        completeness=_completeness(output),
        windows=windows_table(windows),
        networks=networks_table(sensitivity, output),
        timing=timing,
        total=duration(seconds),
        provenance=_provenance(output),
        manifest=_yaml(manifest.model_dump(mode="json")),
        data=_embedded(
            lookup_data(output, windows, sensitivity, network, labels=labels, limits=limits)
        ),
    )
    with atomic_path(output.report) as partial:
        partial.write_text(page, encoding="utf-8")
    return [output.report]


def _summary(sensitivity: Sensitivity, network: str) -> dict[str, Any]:
    """The main numbers.

    Args:
        sensitivity: What the networks achieve.
        network: The network whose single cut is quoted.
    """
    means = {
        loss: [
            mean_sigma_min(sensitivity, result, cut)
            for name, result in sensitivity.networks.items()
            if name.split("-")[0] == loss
        ]
        for loss, cut in (("punzi", "single"), ("bce", "optimal_in_training"))
    }
    averages = {loss: float(np.mean(values)) if values else None for loss, values in means.items()}
    one, bce = averages["punzi"], averages["bce"]
    ratio = bce / one if one and bce and np.isfinite([one, bce]).all() else None
    return {
        "form": sensitivity.figure_of_merit.form,
        "a": number(sensitivity.figure_of_merit.a),
        "b": number(sensitivity.figure_of_merit.b, 6),
        "luminosity": number(sensitivity.luminosity),
        "networks": len(means["punzi"]),
        "unseen": int(sum(not np.isfinite(value) for value in means["punzi"])),
        "one": number(one, 3),
        "bce": number(bce, 3),
        "ratio": number(ratio, 3),
        # The median, not the smallest: that is where no simulated background happens to pass.
        "median": number(float(np.median(sensitivity.networks[network].single.sigma_min)), 3),
    }


def _masses(windows: Windows) -> dict[str, str]:
    """How many masses, from where to where."""
    return {
        "count": number(len(windows)),
        "training": number(int(windows.training.sum())),
        "low": number(float(windows.mass[0])),
        "high": number(float(windows.mass[-1])),
    }


def _results(folder: Path) -> dict[str, Any]:
    """All JSON results of a folder by name; none where it is absent."""
    return {
        path.stem.replace("_", " "): read_json(path, "make")
        for path in sorted(folder.glob("*.json"))
    }


def _tables(results: Mapping[str, Any]) -> list[Table]:
    """All results of a folder as tables, those that are comparisons of methods as one each."""
    return [
        table
        for name, content in results.items()
        for table in (
            [baselines_table(name, content)]
            if isinstance(content, Mapping) and {"hypotheses", "baselines"} <= set(content)
            else any_tables(name, content)
        )
    ]


def _cutflows(output: OutputFolder) -> list[Table]:
    """What became of the events in every stage that has run."""
    tables = (
        cutflow_table(
            "Simulation: events that are left", output.simulation_record, "punzinet simulate",
            "events",
        ),
        cutflow_table(
            "Features: entries dropped and kept", output.features_cutflow, "punzinet features",
            "entries",
        ),
        cutflow_table(
            "Data: entries dropped, hidden and kept", output.data_cutflow, "punzinet features",
            "entries",
        ),
        cutflow_table(
            "Selection: entries dropped and kept", output.selection_cutflow, "punzinet select",
            "entries",
        ),
    )  # fmt: skip
    return [table for table in tables if table is not None]


def _completeness(output: OutputFolder) -> list[Table]:
    """Whether everything was read that there is, of simulation and of data."""
    tables = (
        completeness_table("Entries read, present and expected", output.completeness),
        completeness_table("Data: entries read, present and expected", output.data_completeness),
    )
    return [table for table in tables if table is not None]


def _provenance(output: OutputFolder) -> list[dict[str, str]]:
    """Where each result comes from: commit, manifest, versions and settings."""
    files = {
        "simulation": output.simulation_record,
        "features": output.windows,
        "training": output.sensitivity,
        "selection": output.selection_cutflow,
    }
    result = []
    for stage, path in files.items():
        content = read_optional(path, "make")
        about = content.get("provenance") if isinstance(content, Mapping) else None
        if isinstance(about, Mapping):
            result.append(
                {
                    "stage": stage,
                    "commit": str(about.get("git_commit") or "not from a git checkout"),
                    "manifest": str(about.get("manifest")),
                    "versions": ", ".join(f"{k} {v}" for k, v in about["versions"].items())
                    if isinstance(about.get("versions"), Mapping)
                    else "",
                    "settings": _yaml(about.get("settings")),
                }
            )
    return result


def _yaml(content: Any) -> str:
    """Settings as people write them."""
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)


def _embedded(data: Any) -> Markup:
    """JSON inside of a script element, which nothing in it can close."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 - no character of it means anything in HTML
