"""Where everything lies under the output folder: the contracts between the stages."""

from pathlib import Path


class OutputFolder:
    """The names of all files that stages hand to one another, under the folder `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root

        self.simulation = root / "simulation"
        """What the simulation says about itself."""
        self.simulation_record = root / "ntuples" / "simulation.json"
        """What was simulated: entries, luminosity and seeds of each ntuple."""
        self.cross_sections = self.simulation / "cross_sections.json"
        """Cross-section of the simulated signal over g'^2, by mass."""
        self.validation = self.simulation / "validation.json"
        """The default data against published numbers and another generator."""

        self.windows = root / "windows.json"
        """The windows of all hypotheses."""
        self.tensors = root / "tensors"
        """Training tensors, one Parquet file a chunk."""
        self.features_cutflow = root / "features" / "cutflow.json"
        """Events kept and lost by the features stage."""
        self.completeness = root / "features" / "completeness.json"
        """Entries read against entries present and expected."""
        self.data_tensors = root / "data" / "tensors"
        """Measured events, apart from everything that networks are trained on."""
        self.data_cutflow = root / "data" / "cutflow.json"
        """Measured events kept, lost and hidden by the features stage."""
        self.data_completeness = root / "data" / "completeness.json"
        """Measured entries read against entries present and expected."""

        self.sensitivity = root / "sensitivity.json"
        """Minimum detectable cross-section of every network at every hypothesis."""
        self.histograms = root / "selection" / "histograms.root"
        """Histograms of the window variable before and after the selection."""
        self.selection_cutflow = root / "selection" / "cutflow.json"
        """Events kept and lost by the selection."""
        self.comparison = root / "selection" / "comparison.root"
        """Histograms of data and of simulation scaled to it, before and after the selection."""
        self.limits = root / "limits" / "limits.json"
        """Expected upper limits of every hypothesis."""
        self.workspaces = root / "limits" / "workspaces"
        """HistFactory workspaces behind the limits, one a mass."""
        self.baselines = root / "baselines"
        """What the networks are compared with."""

        self.plots = root / "plots"
        self.report = root / "report.html"
        """The page that shows everything."""
        self.paper = root / "paper"
        """The reproduction of the paper: claims and figures."""
        self.claims = self.paper / "claims.json"
        """The paper's claims as numbers."""
        self.variations = self.paper / "variations.json"
        """What variations of the recipe change."""
        self.judgement = root / "judgement.safetensors"
        """What the networks of a study achieve, with replicas; in the folder of the study."""

        self.stages = root / ".stages"
        """Records that finished stages leave."""

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
    return {"data": "features"}.get(stage, stage)
