"""The report: everything a run has found on one page that needs nothing else."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import jinja2
import yaml
from markupsafe import Markup

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.io.files import atomic_path, read_json
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.sensitivity import Sensitivity
from punzinet.analysis.windows import Windows
from punzinet.plots.report import tables
from punzinet.plots.report.lookup import lookup_data
from punzinet.plots.report.networks import networks_table, summary, windows_table
from punzinet.plots.report.numbers import number, plain_label
from punzinet.plots.report.pictures import read_captions, read_pictures


def make_report(output: OutputFolder, manifest: Manifest, network: str) -> list[Path]:
    """Write the report of all results, with the network whose cut the selection applied.

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
    captions = read_captions(search.variable.mass)
    figures = read_pictures(output.plots, {**captions["run"], **captions["limits"]})
    timing, total = tables.timing_table(output.stages)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("report.html.j2").render(
        **_results(output),
        summary=summary(sensitivity, network),
        luminosity=number(manifest.luminosity),
        network=network,
        masses={
            "count": number(len(windows)),
            "training": number(int(windows.training.sum())),
            "low": number(float(windows.mass[0])),
            "high": number(float(windows.mass[-1])),
        },
        search={
            name: plain_label(search.particle, getattr(search, name))
            for name in ("particle", "reaction", "decay")
        },
        mass_title=search.variable.mass.title,
        figures=[picture for picture in figures if picture.name not in captions["limits"]],
        limit_pictures=[picture for picture in figures if picture.name in captions["limits"]],
        paper=read_pictures(output.paper, captions["paper"]),
        baseline_pictures=read_pictures(output.baselines, captions["baselines"]),
        validation_pictures=read_pictures(output.simulation, captions["validation"]),
        windows=windows_table(windows),
        networks=networks_table(sensitivity, output),
        timing=timing,
        total=total,
        provenance=_provenance(output),
        manifest=_yaml(manifest.model_dump(mode="json")),
        data=_embedded(lookup_data(output, windows, sensitivity, network, labels)),
    )
    with atomic_path(output.report) as partial_path:
        partial_path.write_text(page, encoding="utf-8")
    return [output.report]


def _results(output: OutputFolder) -> dict[str, list[tables.Table]]:
    """Tables of all results that there are, by section of the page.

    Raises:
        InputError: If a result is damaged.
    """
    read = tables.read_tables
    events = partial(tables.cutflow_table, "Simulation: events that are left", "events")
    cutflows = [read(output.simulation_record, "cutflows", "punzinet simulate", events)]
    for caption, path, stage in (
        ("Features: entries dropped and kept", output.features_cutflow, "features"),
        ("Data: entries dropped, hidden and kept", output.data_cutflow, "features"),
        ("Selection: entries dropped and kept", output.selection_cutflow, "select"),
    ):
        entries = partial(tables.cutflow_table, caption, "entries")
        cutflows.append(read(path, "cutflows", f"punzinet {stage}", entries))
    completeness = (
        ("Entries read, present and expected", output.completeness),
        ("Data: entries read, present and expected", output.data_completeness),
    )
    return {
        "claims": read(output.claims, "claims", "make paper", tables.claims_tables),
        "variations": read(
            output.variations, "variations", "make paper-studies", tables.variations_table
        ),
        "baselines": [
            table
            for path in sorted(output.baselines.glob("*.json"))
            for table in read(
                path,
                "baselines",
                "punzinet baselines",
                partial(tables.baselines_tables, path.stem.replace("_", " ")),
            )
        ],
        "limits": read(output.limits, "limits", "punzinet limits", tables.limits_table),
        "validation": read(
            output.validation, "validation", "punzinet validate-simulation", tables.validation_table
        ),
        "cutflows": [table for one in cutflows for table in one],
        "completeness": [
            table
            for caption, path in completeness
            for table in read(
                path,
                "counts of entries",
                "punzinet features",
                partial(tables.completeness_table, caption),
            )
        ],
    }


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
        content = read_json(path, "make") if path.exists() else {}
        about = content.get("provenance")
        if isinstance(about, dict):
            versions = about.get("versions")
            known = versions.items() if isinstance(versions, dict) else ()
            result.append(
                {
                    "stage": stage,
                    "commit": str(about.get("git_commit") or "not from a git checkout"),
                    "manifest": str(about.get("manifest")),
                    "versions": ", ".join(f"{name} {version}" for name, version in known),
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
