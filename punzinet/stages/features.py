"""From ntuples to tensors: windows and training tensors, and the features of measured events.

Data is a stage of its own, because networks depend on the features of what is simulated: neither
other data nor seeing more of it trains any of them again. Varied samples are another, for the same
reason.
"""

from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Any

from rich.table import Column, Table

from punzinet.analysis.io.files import InputError, read_json
from punzinet.analysis.io.output import OutputFolder, processed_of
from punzinet.analysis.manifest import datasets
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.manifest.systematics import factor_branches
from punzinet.stages.options import Context, console
from punzinet.stages.simulate import SIMULATE
from punzinet.stages.stage import Stage, Written

#: Options of every stage that reads ntuples.
NTUPLE_OPTIONS = ("unblind", "allow_missing", "limit_files", "limit_chunks")


def check_unblind(context: Context) -> None:
    """Raise InputError if there is nothing to be unblinded."""
    if context.options.unblind and not context.manifest.has_data:
        raise InputError(
            "--unblind: there is no data; give the manifest a dataset with `process: data`, or "
            "leave the option out."
        )


def ntuple_settings(manifest: Manifest, context: Context) -> dict[str, Any]:
    """What the result of a stage that reads ntuples depends on beside sections of the manifest."""
    seen = manifest.seen_of_data(unblind=context.options.unblind)
    missing = {"allow_missing": True} if context.options.allow_missing else {}
    return {**seen, **missing, **context.trial}


def say_seen(context: Context) -> None:
    """Say what is seen of data, if there is any, and of which windows only a part is hidden."""
    from punzinet.analysis.windows import Windows

    if context.options.unblind:
        console.print("[yellow]Unblinded[/yellow]: all of the data is seen.", markup=True)
    elif context.manifest.has_data:
        blinding, windows = context.manifest.blinding, Windows.read(context.output.windows)
        console.print(f"Blinded: only {blinding} is seen; --unblind shows all.")
        low, high = map(windows.search.variable.signed_mass, (windows.low, windows.high))
        ends = [end for end in blinding.signal_region or () if end > 0]  # below 0 goes with 0
        of_each = zip(windows.mass, low, high, strict=True)
        if partly := [f"{mass:g}" for mass, a, b in of_each if any(a < end < b for end in ends)]:
            console.print(
                f"The windows of {', '.join(partly)} GeV reach beyond that region, and part of "
                "what is in them is seen.", style="yellow", soft_wrap=True,
            )  # fmt: skip


def say_trial(output: OutputFolder, stage: str) -> None:
    """Say so if features or select left results of a trial run; InputError if they are damaged."""
    if trial := processed_of(output, stage).get("trial"):
        options = " ".join(f"--limit-{name} {n}" for name, n in trial.items() if n is not None)
        console.print(
            f"[yellow]Trial run[/yellow]: `punzinet {stage}` processed only a part of the events "
            f"({options}) and scaled it up to all (signal of several "
            "masses in one dataset is taken whole); it is no result to quote.",
            markup=True,
            soft_wrap=True,
        )


def say_cutflow(path: Path, manifest: Manifest) -> None:
    """Show what became of the entries of all datasets, from the cutflow of a stage.

    They stand for events of background at the target luminosity, or that of their period, or of
    signal for the efficiency, averaged over its masses, of a period weighted with its share of the
    luminosity; data has no luminosity but its own. InputError if that cannot be read.
    """
    headings = ("entries", "share", f"at {manifest.luminosity:g} fb⁻¹")
    numbers = (Column(heading, justify="right", no_wrap=True) for heading in headings)
    table = Table("dataset", "step", *numbers, title="Cutflow", title_justify="left")
    found = read_json(path, "punzinet features")["datasets"]
    for name, dataset in found.items():
        title, lines = name, dataset["cutflow"]
        if manifest.datasets[name].period is not None and dataset["process"] != datasets.DATA:
            title += f" (at {manifest.luminosity_of(name):g} fb⁻¹)"
        for line in lines:
            entries, weight = line["entries"], line["weight"]
            if not entries:
                continue
            efficiency = f"ε = {weight / manifest.masses_of(name):.3f}"
            meanings = {datasets.SIGNAL_PROCESS: efficiency, datasets.DATA: ""}
            meaning = meanings.get(dataset["process"], f"{weight:,.0f}")
            share = f"{entries / lines[0]['entries']:.1%}"
            table.add_row(title, line["step"], f"{entries:,}", share, meaning)
            title = ""
        table.add_section()
    console.print(table)
    for name, dataset in found.items():
        for what, entries in dataset.get("not_missing", {}).items():
            value = what.rpartition(" ")[2]
            console.print(
                f"Dataset {name}: in {entries:,} entries {what}; if that stands for a missing "
                f"value, say `missing: [{value}]`.", style="yellow", soft_wrap=True,
            )  # fmt: skip


def _settings(manifest: Manifest, context: Context) -> dict[str, Any]:
    sections = manifest.model_dump(mode="json", include={"datasets"})
    for dataset in sections["datasets"].values():
        if dataset["simulate"]:
            del dataset["files"]  # elsewhere in a copy of the output folder
    named = ((one.name, factor_branches(manifest.systematics, one))
             for one in manifest.datasets.values())  # fmt: skip
    weights = {name: branches for name, branches in named if branches}
    found = {**sections, **ntuple_settings(manifest, context)}
    return found | ({"systematics": weights} if weights else {})


def _files(manifest: Manifest, context: Context) -> list[str]:
    """Input files from outside of the output folder, which are there unless they may be missing."""
    there = not context.options.allow_missing
    own = (dataset for dataset in manifest.datasets.values() if dataset.simulate is None)
    return [file for dataset in own for file in dataset.resolved_files(must_exist=there)]


def _run(context: Context, stage: str = "features") -> Written:
    """Turn ntuples into mass windows and training tensors, and count every event.

    Example: punzinet features --manifest my_manifest.yaml --workers 2

    To try a new manifest: punzinet features --manifest my_manifest.yaml --limit-files 1
    """
    from punzinet.processors.runs.features import run_features

    manifest, output = context.manifest, context.output
    written = run_features(manifest, output, context.execution, stage, **context.reading)
    tensors, cutflow, complete = output.features(stage)
    say_cutflow(cutflow, manifest)
    found = read_json(complete, "punzinet features")
    missing = [f"Allowed to be missing: {row['reason']}" for row in found.get("missing", [])]
    for line in [*missing, *found["twice"]]:
        console.print(line, style="yellow", soft_wrap=True)
    windows = ""
    if stage == "data":
        say_seen(context)
    elif stage == "features":
        say_trial(output, "features")
        windows = f"windows in {output.windows}, "
    console.print(f"{stage}: {windows}tensors in {tensors}")
    return written


#: Sections that weights and features of simulated events depend on.
_READS = ("beams", "luminosity", "periods", "corrections", "hypotheses", "features", "search")
FEATURES: Stage = Stage(
    name="features",
    run=_run,
    reads=_READS,
    also=lambda context: _settings(context.manifest.part(), context),
    after=(SIMULATE,),
    files=lambda context: _files(context.manifest.part(), context),
    writes=(
        *("windows.json", "tensors", "features/cutflow.json", "features/completeness.json"),
        "features/peaks.root",
    ),
    finds="tensors/*/*.parquet",
    options=NTUPLE_OPTIONS,
    prepare=check_unblind,
    parts=lambda _: (FEATURES, VARIATIONS, DATA),
)


def _beside(name: str, reads: tuple[str, ...], wanted: str, **which: bool) -> Stage:
    """Another stage of the command `features`: tensors in the windows of `FEATURES`."""
    return Stage(
        name=name,
        command="features",
        run=lambda context: _run(context, name),
        reads=reads,
        also=lambda context: _settings(context.manifest.part(**which), context),
        after=(FEATURES,),
        files=lambda context: _files(context.manifest.part(**which), context),
        writes=tuple(f"{name}/{one}" for one in ("tensors", "cutflow.json", "completeness.json")),
        finds=f"{name}/tensors/*/*.parquet",
        options=NTUPLE_OPTIONS,
        wanted=attrgetter(wanted),
    )


VARIATIONS: Stage = _beside("variations", _READS, "has_variations", varied=True)
DATA: Stage = _beside("data", ("beams", "features"), "has_data", data=True)


#: The same stage for those that need it only if systematic effects enter the figure of merit.
MEASURED: Stage = replace(
    VARIATIONS, wanted=lambda of: of.has_variations and of.figure_of_merit.is_measured
)


def measured(context: Context) -> dict[str, Any]:
    """Settings that a stage after `MEASURED` depends on if systematic effects enter it."""
    asked = context.manifest.figure_of_merit.is_measured
    return context.manifest.model_dump(mode="json", include={"systematics"}) if asked else {}
