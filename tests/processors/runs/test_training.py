"""What a training shows."""

from types import SimpleNamespace

from synthetic import synthetic_sample

from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.training.settings import TrainingSettings
from punzinet.processors.runs.training import train_visibly


def test_training_shows_its_epochs_and_losses(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    once = {"finish": 0, "pretraining": {"epochs": 1}, "punzi": {"epochs": 2}}
    manifest = SimpleNamespace(figure_of_merit=FigureOfMerit(), luminosity=50.0)
    settings = TrainingSettings.model_validate(once)
    sample = synthetic_sample(40_000, hypotheses=7)
    trained = train_visibly(manifest, sample, settings, OutputFolder(tmp_path)).punzi[0]
    said = " ".join(capsys.readouterr().err.split())
    assert f"best {trained.loss:.5g}" in said
    assert "100%" in said
