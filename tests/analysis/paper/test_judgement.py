"""Judgements are read as they were written, and cuts are what they are called."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.paper.judgement import Judgement, cuts_of
from punzinet.analysis.sensitivity import NetworkSensitivity, Selection


def test_read_as_written(make_judgement: Callable[..., Judgement], tmp_path: Path) -> None:
    judgement = make_judgement()
    judgement.write(tmp_path / "judgement.safetensors")
    again = Judgement.read(tmp_path / "judgement.safetensors")
    for name, array in judgement.arrays.items():
        np.testing.assert_array_equal(again.arrays[name], array)
    np.testing.assert_array_equal(again.training, judgement.training)
    assert again.losses == ("bce", "punzi")


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "judgement.safetensors").write_bytes(b"not that")
    with pytest.raises(InputError, match="run `punzinet paper` again"):
        Judgement.read(tmp_path / "judgement.safetensors")


def test_a_variation_is_compared_with_the_networks_it_began_with(
    make_judgement: Callable[..., Judgement],
) -> None:
    main = make_judgement(networks=4)
    own = {k: a for k, a in make_judgement(networks=2).arrays.items() if not k.startswith("bce")}
    varied = Judgement(main.mass, main.training, main.converged[:2], own)
    assert varied.losses == ("punzi",)
    both = varied.after(main.first(2))
    np.testing.assert_array_equal(both.sigma("bce", "best"), main.sigma("bce", "best")[:2])
    assert both.sigma("punzi", "single") is varied.sigma("punzi", "single")


def test_best_cuts_are_interpolated_to_masses_that_were_not_trained_on() -> None:
    mass, training = np.array([1.0, 2.0, 3.0]), np.array([True, False, True])

    def selection(*cut: float) -> Selection:
        """Only cuts matter."""
        return Selection(np.array(cut), mass, mass, mass, mass)

    judged = NetworkSensitivity(
        optimal=selection(5.0, 6.0, 7.0),
        optimal_in_training=selection(1.0, 9.0, 2.0),
        single=selection(0.5, 0.5, 0.5),
        half=selection(0.0, 0.0, 0.0),
    )
    cuts = cuts_of(judged, mass, training)
    np.testing.assert_allclose(cuts["best"], [1.0, 1.5, 2.0])
    np.testing.assert_allclose(cuts["best_own"], [1.0, 9.0, 2.0])
    np.testing.assert_allclose(cuts["best_in_sample"], [5.0, 6.0, 7.0])
