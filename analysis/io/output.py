"""Where everything lies under the output folder: the contracts between the stages."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class OutputFolder:
    """The names of all files that stages hand to one another.

    Attributes:
        root: The folder itself, ``output`` by default.
    """

    root: Path

    def ntuple(self, dataset: str) -> Path:
        """The ROOT file of a simulated dataset."""
        return self.root / "ntuples" / f"{dataset}.root"

    @property
    def simulation(self) -> Path:
        """Folder of what the simulation says about itself (cross-sections, validation)."""
        return self.root / "simulation"

    @property
    def validation(self) -> Path:
        """The default data against published numbers and another generator."""
        return self.simulation / "validation.json"

    @property
    def simulation_record(self) -> Path:
        """What was simulated: entries, luminosity and seeds of each ntuple."""
        return self.root / "ntuples" / "simulation.json"

    @property
    def windows(self) -> Path:
        """The windows of all hypotheses."""
        return self.root / "windows.json"

    @property
    def tensors(self) -> Path:
        """Folder of the training tensors, one Parquet file a chunk."""
        return self.root / "tensors"

    @property
    def features_cutflow(self) -> Path:
        """Events kept and lost by the features stage."""
        return self.root / "features" / "cutflow.json"

    @property
    def completeness(self) -> Path:
        """Entries read against entries present and expected."""
        return self.root / "features" / "completeness.json"

    @property
    def data_tensors(self) -> Path:
        """Folder of measured events, apart from everything that networks are trained on."""
        return self.root / "data" / "tensors"

    @property
    def data_cutflow(self) -> Path:
        """Measured events kept, lost and hidden by the features stage."""
        return self.root / "data" / "cutflow.json"

    @property
    def data_completeness(self) -> Path:
        """Measured entries read against entries present and expected."""
        return self.root / "data" / "completeness.json"

    def ledger(self, stage: str) -> Path:
        """Records of the finished chunks of a stage."""
        return self.root / ".ledger" / stage

    def network(self, name: str) -> Path:
        """Folder of one trained network."""
        return self.root / "networks" / name

    @property
    def sensitivity(self) -> Path:
        """Minimum detectable cross-section of every network at every hypothesis."""
        return self.root / "sensitivity.json"

    @property
    def cross_sections(self) -> Path:
        """Cross-section of the simulated signal over g'^2, by mass."""
        return self.simulation / "cross_sections.json"

    @property
    def limits(self) -> Path:
        """Expected upper limits of every hypothesis."""
        return self.root / "limits" / "limits.json"

    @property
    def workspaces(self) -> Path:
        """Folder of the HistFactory workspaces behind the limits, one a mass."""
        return self.root / "limits" / "workspaces"

    @property
    def histograms(self) -> Path:
        """Histograms of the window variable before and after the selection."""
        return self.root / "selection" / "histograms.root"

    @property
    def selection_cutflow(self) -> Path:
        """Events kept and lost by the selection."""
        return self.root / "selection" / "cutflow.json"

    @property
    def comparison(self) -> Path:
        """Histograms of data and of the simulation scaled to it, before and after the selection."""
        return self.root / "selection" / "comparison.root"

    @property
    def baselines(self) -> Path:
        """Folder of what the networks are compared with."""
        return self.root / "baselines"

    @property
    def plots(self) -> Path:
        """Folder of the figures."""
        return self.root / "plots"

    @property
    def paper(self) -> Path:
        """Folder of the reproduction of the paper: claims and figures."""
        return self.root / "paper"

    def study(self, name: str) -> "OutputFolder":
        """Folder of one of its trainings, with networks and sensitivity of its own."""
        return OutputFolder(self.paper / "studies" / name)

    @property
    def judgement(self) -> Path:
        """What the networks of a study achieve, with replicas; in the folder of the study."""
        return self.root / "judgement.safetensors"

    @property
    def claims(self) -> Path:
        """The paper's claims as numbers."""
        return self.paper / "claims.json"

    @property
    def variations(self) -> Path:
        """What variations of the recipe change."""
        return self.paper / "variations.json"

    @property
    def report(self) -> Path:
        """The page that shows everything."""
        return self.root / "report.html"

    @property
    def stages(self) -> Path:
        """Folder of the records that finished stages leave."""
        return self.root / ".stages"


def command_of(stage: str) -> str:
    """The command that runs a stage: data has none of its own."""
    return {"data": "features"}.get(stage, stage)
