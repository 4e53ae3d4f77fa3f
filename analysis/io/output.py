"""Where everything lies under the output folder: the contracts between the stages."""

from pathlib import Path


class OutputFolder:
    """The names of all files that stages hand to one another, under the folder `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.stages = root / ".stages"  # records that finished stages leave

        self.simulation = root / "simulation"  # what the simulation says about itself
        self.simulation_record = root / "ntuples" / "simulation.json"  # entries, luminosity, seeds
        self.cross_sections = self.simulation / "cross_sections.json"  # of signal over g'^2
        self.validation = self.simulation / "validation.json"  # against others' numbers

        self.windows = root / "windows.json"
        self.tensors = root / "tensors"  # training tensors, one Parquet file a chunk
        self.features_cutflow = root / "features" / "cutflow.json"  # events kept and lost
        self.completeness = root / "features" / "completeness.json"  # entries read and expected
        self.data_tensors = root / "data" / "tensors"  # measured events, apart from the above
        self.data_cutflow = root / "data" / "cutflow.json"
        self.data_completeness = root / "data" / "completeness.json"

        self.sensitivity = root / "sensitivity.json"  # σ_min of every network and hypothesis
        self.histograms = root / "selection" / "histograms.root"  # of the window variable
        self.selection_cutflow = root / "selection" / "cutflow.json"
        self.comparison = root / "selection" / "comparison.root"  # data with simulation
        self.limits = root / "limits" / "limits.json"  # expected upper limits of every hypothesis
        self.workspaces = root / "limits" / "workspaces"  # HistFactory, one a mass
        self.baselines = root / "baselines"  # what the networks are compared with

        self.plots = root / "plots"
        self.report = root / "report.html"  # the page that shows everything
        self.paper = root / "paper"  # the reproduction of the paper: claims and figures
        self.claims = self.paper / "claims.json"  # the paper's claims as numbers
        self.variations = self.paper / "variations.json"  # what variations of the recipe change
        self.judgement = root / "judgement.safetensors"  # of a study's networks, in its own folder

    def ntuple(self, dataset: str) -> Path:
        """The ROOT file of a simulated dataset."""
        return self.root / "ntuples" / f"{dataset}.root"

    def network(self, name: str) -> Path:
        """Folder of one trained network."""
        return self.root / "networks" / name

    def ledger(self, stage: str) -> Path:
        """Records of the finished chunks of a stage."""
        return self.root / ".ledger" / stage

    def study(self, name: str) -> "OutputFolder":
        """Folder of one of the paper's trainings, with networks and sensitivity of its own."""
        return OutputFolder(self.paper / "studies" / name)


def command_of(stage: str) -> str:
    """The command that runs a stage: data has none of its own."""
    return "features" if stage == "data" else stage
