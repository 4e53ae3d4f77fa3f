"""Which stages have to run: each one re-runs only if something it depends on has changed.

A finished stage leaves a record of what it depended on (the settings it reads, the records
of the stages before it, size and time of files from outside) and of what it wrote. It is up
to date while all of that still holds. Executor and number of workers are no dependency: they
do not change a byte. Neither is where a training runs and keeps its events: that changes its
result by rounding only.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from analysis.errors import InputError, OutputError
from analysis.files import cannot_write, is_file, read_json, write_json
from analysis.manifest import Manifest
from analysis.output import OutputFolder
from analysis.paper.studies import MAIN, Study
from analysis.provenance import digest, versions
from processors.reasons import command_of, reasons
from processors.trial import Trial

#: What each stage is called, in the order in which data run through them.
STAGES = ("simulate", "features", "train", "select", "limits", "plot")
#: Bytes at the beginning of a ROOT file that hold its UUID, and where everything else lies.
_HEAD = 100
#: What is kept in mind of the number of networks.
_LAST = ("asked", "manifest")


@dataclass
class Stage:
    """One stage of the chain and everything its result depends on.

    Attributes:
        name: The command that runs it.
        output: The folder all stages share.
        settings: What it reads from the manifest, as JSON can express it.
        after: Stages whose output it reads.
        files: Input files from outside, paths or URLs.
        begun: When this run of it began, None before that.
    """

    name: str
    output: OutputFolder
    settings: Any
    after: tuple[str, ...] = ()
    files: Sequence[str] = ()
    begun: datetime | None = field(default=None, init=False)

    def fingerprint(self) -> str:
        """Digest of everything the result depends on.

        Raises:
            InputError: If a stage that has to come before has not run.
        """
        inputs = self._inputs()
        return digest({**inputs, "after": list(inputs["after"].values())})

    def _inputs(self) -> dict[str, Any]:
        """Everything the result depends on.

        Raises:
            InputError: If a stage that has to come before has not run.
        """
        return {
            "version": versions()["punzinet"],
            "settings": self.settings,
            "after": {name: _read_record(self.output, name)["fingerprint"] for name in self.after},
            "files": [_state(name) for name in self.files],
        }

    def reasons(self) -> list[str]:
        """Why the stage has to run; nothing if it is up to date.

        Raises:
            InputError: If a stage that has to come before has not run.
        """
        inputs = self._inputs()
        if not _record_path(self.output, self.name).exists():
            return ["it has not run to its end"]
        record = _read_record(self.output, self.name)
        if record["fingerprint"] == self.fingerprint():
            return [
                f"{name} is gone or has changed"
                for name, size in record["outputs"].items()
                if _size(self.output.root / name) != size
            ]
        return reasons(record.get("inputs", {}), inputs) or ["what it depends on has changed"]

    def is_up_to_date(self) -> bool:
        """Whether the stage has run on exactly these inputs and all it wrote is still there."""
        return _record_path(self.output, self.name).exists() and not self.reasons()

    def begin(self) -> None:
        """Forget the last run, so that one that is cut off is never taken for finished.

        Raises:
            InputError: If the output folder cannot be written to.
        """
        path = _record_path(self.output, self.name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            _failure_path(self.output, self.name).unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(cannot_write(self.output.root, error)) from error
        self.begun = datetime.now(UTC)

    def fail(self, reason: str) -> None:
        """Leave word of why a run that has begun did not come to its end, if that can be written.

        Args:
            reason: The sentence that it ended with.
        """
        if not _record_path(self.output, self.name).exists():
            with suppress(OutputError, OSError):
                write_json(_failure_path(self.output, self.name), {"reason": reason})

    def finish(self, outputs: Iterable[Path]) -> None:
        """Record that the stage ran to its end.

        Args:
            outputs: Every file it wrote under the output folder.
        """
        root = self.output.root
        sizes = {str(path.relative_to(root)): _size(path) for path in sorted(outputs)}
        record: dict[str, Any] = {
            "fingerprint": self.fingerprint(),
            "inputs": self._inputs(),
            "outputs": sizes,
        }
        if self.begun is not None:
            record["started"] = self.begun.isoformat(" ", "seconds").removesuffix("+00:00")
            record["seconds"] = round((datetime.now(UTC) - self.begun).total_seconds(), 1)
        write_json(_record_path(self.output, self.name), record)


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


def _record_path(output: OutputFolder, name: str) -> Path:
    """Where the record of a stage lies."""
    return output.stages / f"{name}.json"


def _failure_path(output: OutputFolder, name: str) -> Path:
    """Where it lies why the last run of a stage failed."""
    return output.stages / f"{name}.failed"


def failure_of(output: OutputFolder, name: str) -> list[str]:
    """Why the last run of a stage failed, in one sentence; nothing if it did not.

    Args:
        output: The folder all stages share.
        name: The stage.

    Raises:
        InputError: If what is left of it is damaged.
    """
    path = _failure_path(output, name)
    if not path.exists():
        return []
    content = read_json(path, f"punzinet {command_of(name)}")
    reason = content.get("reason") if isinstance(content, dict) else None
    if not isinstance(reason, str):
        raise InputError(f"{path} is damaged; delete it.")
    return [reason]


def _read_record(output: OutputFolder, name: str) -> dict[str, Any]:
    """The record of a stage that has run.

    Raises:
        InputError: If it has not, or the record is damaged.
    """
    path, command = _record_path(output, name), command_of(name)
    if not path.exists():
        raise InputError(f"`punzinet {command}` has not run in {output.root}; run it first.")
    record = read_json(path, f"punzinet {command}")
    if not (
        isinstance(record, dict)
        and isinstance(record.get("fingerprint"), str)
        and isinstance(record.get("outputs"), dict)
    ):
        raise InputError(f"{path} is damaged; delete it and run `punzinet {command}` again.")
    return record


def _state(name: str) -> list[Any]:
    """Name, size, time and digest of the first bytes of a local file.

    The first bytes of a ROOT file hold its UUID: it tells the file from another one of the same
    size and time. A URL or a missing file is known by its name alone.
    """
    path = Path(name.removeprefix("file://"))
    if "://" in str(path) or not is_file(path):
        return [name]
    status, head = path.stat(), b""
    with suppress(OSError), path.open("rb") as file:  # the stage itself says what it cannot read
        head = file.read(_HEAD)
    return [name, status.st_size, status.st_mtime_ns, digest(head.hex())]


def _size(path: Path) -> int:
    """Size of a file in bytes, -1 where there is none."""
    return path.stat().st_size if path.is_file() else -1
