"""All stages of the chain, and what each of them depends on."""

from collections.abc import Sequence
from typing import Any

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.io.files import read_json, write_json
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.paper.studies import MAIN, Study
from punzinet.processors.stage import Stage
from punzinet.processors.trial import Trial

#: What each stage is called, in the order in which data run through them.
STAGES = ("simulate", "features", "train", "select", "limits", "plot")
#: What is kept in mind of the number of networks.
_LAST = ("asked", "manifest")


def simulate_stage(manifest: Manifest, output: OutputFolder, scale: str) -> Stage:
    """The default data: depends on what is simulated, and how."""
    simulated = {d.name: d.simulate for d in manifest.datasets.values() if d.simulate}
    settings = {
        **manifest.model_dump(mode="json", include={"beams", "hypotheses", "simulation"}),
        "datasets": simulated,
        "scale": scale,
    }
    return Stage("simulate", output, settings)


def features_stage(
    manifest: Manifest,
    output: OutputFolder,
    *,
    allow_missing: bool = False,
    trial: Trial | None = None,
) -> Stage:
    """Windows and tensors: depend on all ntuples and their normalisation."""
    simulated = manifest.without_data()
    settings = simulated.model_dump(
        mode="json",
        include={
            *("beams", "luminosity", "corrections", "hypotheses", "datasets", "features"),
            "search",
        },
    )
    if allow_missing:
        settings["allow_missing"] = True
    settings |= (trial or Trial()).to_json()
    after = ("simulate",) if any(d.simulate for d in simulated.datasets.values()) else ()
    return Stage("features", output, settings, after, _files(simulated, not allow_missing))


def data_stage(
    manifest: Manifest,
    output: OutputFolder,
    *,
    unblind: bool = False,
    allow_missing: bool = False,
    trial: Trial | None = None,
) -> Stage:
    """Features of data: depend on its ntuples, on the windows and on what may be seen.

    It is a stage of its own because networks depend on the features of what is simulated: neither
    other data nor seeing more of it trains any of them again.
    """
    measured = manifest.only_data()
    settings = {
        **measured.model_dump(mode="json", include={"beams", "datasets", "features"}),
        **manifest.seen_of_data(unblind=unblind),
        **(trial or Trial()).to_json(),
    }
    if allow_missing:
        settings["allow_missing"] = True
    return Stage("data", output, settings, ("features",), _files(measured, not allow_missing))


def _files(manifest: Manifest, must_exist: bool) -> list[str]:
    """Input files from outside of the output folder."""
    return [
        file
        for dataset in manifest.datasets.values()
        if dataset.simulate is None
        for file in dataset.resolved_files(must_exist=must_exist)
    ]


def train_stage(manifest: Manifest, output: OutputFolder) -> Stage:
    """Networks and their sensitivity: depend on tensors, recipe and figure of merit."""
    settings = manifest.model_dump(
        mode="json",
        include={"figure_of_merit", "training"},
        exclude={"training": {"engine", "device", "storage", "checkpoint_seconds", "tensorboard"}},
    )
    return Stage("train", output, settings, ("features",))


def networks_to_train(output: OutputFolder, manifest: int, asked: int | None) -> int:
    """How many networks to train, and keep in mind what was asked for.

    An ensemble that was asked for once stays one: running the chain again without asking neither
    throws it away nor refuses to continue it. What the manifest says counts again when it says
    something else.

    Args:
        output: The folder all stages share.
        manifest: What the manifest says.
        asked: What the command line says; None if nothing.

    Raises:
        InputError: If the folder cannot be written to, or what was kept in mind is damaged.
    """
    path = output.stages / "networks.json"
    if asked is not None:
        write_json(path, {"asked": asked, "manifest": manifest})
        return asked
    if not path.exists():
        return manifest
    last = read_json(path, "punzinet train")
    if not (isinstance(last, dict) and all(isinstance(last.get(k), int) for k in _LAST)):
        raise InputError(f"{path} is damaged; delete it and run `punzinet train` again.")
    return int(last["asked"]) if last["manifest"] == manifest else manifest


def baselines_stage(manifest: Manifest, output: OutputFolder) -> Stage:
    """Baselines: depend on ntuples, tensors, networks, and all recipes."""
    settings = manifest.model_dump(
        mode="json", include={"figure_of_merit", "training", "baselines"}
    )
    return Stage("baselines", output, settings, ("features", "train"))


def select_stage(
    manifest: Manifest,
    output: OutputFolder,
    network: str,
    *,
    unblind: bool = False,
    allow_missing: bool = False,
    trial: Trial | None = None,
) -> Stage:
    """Histograms behind the single cut: depend on ntuples, network and what is seen of data."""
    settings: dict[str, Any] = {
        "network": network,
        **manifest.seen_of_data(unblind=unblind),
        **(trial or Trial()).to_json(),
    }
    if allow_missing:
        settings["allow_missing"] = True
    after = ("features", *(("data",) if manifest.has_data else ()), "train")
    return Stage("select", output, settings, after)


def limits_stage(manifest: Manifest, output: OutputFolder, network: str) -> Stage:
    """Upper limits: depend on tensors, networks and uncertainties."""
    settings = manifest.model_dump(mode="json", include={"figure_of_merit", "limits"})
    given = manifest.limits.cross_sections
    files = [] if given is None else [given]
    return Stage("limits", output, {**settings, "network": network}, ("features", "train"), files)


def plot_stage(manifest: Manifest, output: OutputFolder, network: str, *, limits: bool) -> Stage:
    """Figures: depend on all that came before, and on how processes are written.

    Args:
        manifest: How processes are written.
        output: The folder all stages share.
        network: The network that is shown.
        limits: Whether there are limits of this network to be drawn.
    """
    settings = {**manifest.model_dump(mode="json", include={"processes"}), "network": network}
    after = ("features", "train", "select", *(("limits",) if limits else ()))
    return Stage("plot", output, settings, after)


def study_stage(manifest: Manifest, output: OutputFolder, study: Study) -> Stage:
    """One training of the paper's reproduction: depends on tensors, recipe and pretraining."""
    settings = {
        **manifest.model_dump(mode="json", include={"figure_of_merit", "luminosity"}),
        "training": study.settings.model_dump(mode="json"),
        "background": study.background,
        "scaled": dict(study.scaled),
        "spacing": study.spacing,
        "replicas": manifest.paper.replicas,
        "simulation_seed": manifest.simulation.seed,
    }
    if study.without_lightest:  # said where it is so: other studies stay up to date
        settings["without_lightest"] = study.without_lightest
    after = () if study.pretrained is None else (study_stage_name(study.pretrained),)
    return Stage(study_stage_name(study.name), output, settings, ("features", *after))


def study_stage_name(study: str) -> str:
    """What the stage of a study is called."""
    return f"paper {study}"


def paper_stage(
    manifest: Manifest, output: OutputFolder, studies: Sequence[str], *, variations: bool
) -> Stage:
    """Claims and figures: depend on the studies, and on how processes are written."""
    settings = {
        **manifest.model_dump(mode="json", include={"processes"}),
        "studies": list(studies),
    }
    after = ("features", *(study_stage_name(name) for name in studies))
    return Stage("paper studies" if variations else "paper", output, settings, after)


def validate_stage(manifest: Manifest, output: OutputFolder, pythia: bool) -> Stage:
    """The validation of the default data: depends on data, windows and judged networks, if any.

    Args:
        manifest: Seed of the simulation.
        output: Where everything lies.
        pythia: Whether Pythia is there to compare with.
    """
    settings = {"pythia": pythia, "seed": manifest.simulation.seed}
    judged = (output.sensitivity, output.study(MAIN).judgement)
    files = [str(path) for path in judged if path.exists()]
    return Stage("validate-simulation", output, settings, ("simulate", "features"), files)


def report_stage(manifest: Manifest, output: OutputFolder, network: str) -> Stage:
    """The page that shows everything: depends on whatever is there to be shown.

    That is the whole chain, the times of its stages, and the results of studies which nobody
    has to have run.
    """
    records = [path for path in output.stages.glob("*.json") if path.stem != "report"]
    studies = [
        path
        for folder in (output.paper, output.baselines, output.limits.parent)
        for path in folder.glob("*.*")
    ]
    files = sorted(str(path) for path in [*records, *studies, *output.simulation.glob("*.json")])
    settings = {"manifest": manifest.digest, "network": network}
    return Stage("report", output, settings, ("features", "train", "select", "plot"), files)
