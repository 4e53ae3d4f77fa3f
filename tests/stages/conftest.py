"""A small manifest of generated datasets, and an output folder in which nothing has run."""

import pytest

from punzinet.analysis.manifest.manifest import Manifest
from punzinet.stages.options import Context, Options

DATASETS = {name: {"process": name, "simulate": name} for name in ("signal", "tautau")}


@pytest.fixture
def context(tmp_path):
    """Function (options=None, **sections of the manifest) that makes a context."""

    def make(options=None, **sections):
        manifest = Manifest.model_validate({"datasets": DATASETS, **sections})
        return Context(Options(output=tmp_path, **(options or {})), lambda: manifest)

    return make
