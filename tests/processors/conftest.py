"""Processors in coffea's own runner, as anybody would run them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from coffea.nanoevents import BaseSchema
from coffea.processor import IterativeExecutor, Runner


def _run(processor: Any, files: dict[str, Path], chunk_size: int = 100_000) -> Any:
    """The output of a processor, one file a dataset."""
    runner = Runner(
        IterativeExecutor(status=False), schema=BaseSchema, chunksize=chunk_size, metadata_cache={}
    )
    fileset = {name: [str(path)] for name, path in files.items()}
    return runner(fileset, processor_instance=processor, treename="variables")


@pytest.fixture(scope="session")
def run_processor() -> Callable[..., Any]:
    """Function (processor, file by dataset, chunk_size) that runs it in coffea's runner."""
    return _run
