"""The wheel, installed into a fresh environment, works from any folder."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from analysis.manifest import Manifest

ROOT = Path(__file__).parents[1]


def run(*command: str | Path, folder: Path) -> str:
    """Run a command without a trace of this checkout, and return what it printed."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_wheel_works_in_a_fresh_environment(
    tmp_path: Path, ntuples: dict[str, Path], make_manifest: Callable[..., Manifest]
) -> None:
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", tmp_path, ROOT, folder=ROOT)
    (wheel,) = tmp_path.glob("punzinet-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for package in ("analysis", "plots", "processors"):
        assert f"{package}/py.typed" in names
        data = {
            str(path.relative_to(ROOT))
            for path in (ROOT / package).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        assert data <= set(names)

    # Its dependencies are those of this environment, found after its own packages.
    run(sys.executable, "-m", "venv", tmp_path / "venv", folder=tmp_path)
    python = tmp_path / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "-q", "--no-deps", "--no-index", wheel, folder=tmp_path)
    purelib = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(run(python, "-c", purelib, folder=tmp_path).strip())
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    where = run(python, "-c", "import analysis; print(analysis.__file__)", folder=tmp_path)
    assert Path(where.strip()) == site / "analysis" / "__init__.py"

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    content = make_manifest(dict(ntuples)).model_dump(mode="json", exclude_unset=True)
    for dataset in content["datasets"].values():
        del dataset["name"]
    (elsewhere / "mine.yaml").write_text(yaml.safe_dump(content))
    punzinet = tmp_path / "venv" / "bin" / "punzinet"
    assert "features" in run(punzinet, "--help", folder=elsewhere)
    said = run(punzinet, "features", "-m", "mine.yaml", "--limit-chunks", "1", folder=elsewhere)
    assert "Trial run" in said
    assert (elsewhere / "output" / "windows.json").is_file()
