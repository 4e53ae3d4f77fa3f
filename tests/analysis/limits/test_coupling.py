"""Widths and the magnetic moment of a Z′ against known limits; files of published limits."""

import numpy as np
import pytest
from scipy.integrate import quad

from punzinet.analysis.constants import ALPHA, MUON_MASS
from punzinet.analysis.io.files import InputError
from punzinet.analysis.limits import coupling

FILE = {
    "source": "a paper",
    "label": "theirs",
    "quantity": "cross_section",
    "confidence_level": "0.95",
    "mass": "[0.5, 1.0]",
    "limit": "[20, 3]",
}


def written(path, **changes):
    content = {**FILE, **changes}
    path.write_text("".join(f"{key}: {value}\n" for key, value in content.items() if value))
    return path


def test_a_light_particle_gives_schwingers_term_and_a_heavy_one_decouples():
    light, heavy = 1e-6 * MUON_MASS, 1e4 * MUON_MASS
    moment = 4 * np.pi * ALPHA * coupling.magnetic_moment_over_g2(np.array([light, heavy]))
    assert moment[0] == pytest.approx(ALPHA / (2 * np.pi), rel=1e-4)
    assert moment[1] == pytest.approx(ALPHA / (3 * np.pi) * (MUON_MASS / heavy) ** 2, rel=1e-5)


def test_the_band_gives_back_the_difference_that_it_explains():
    mass = np.array([0.2, 3.0])
    centre, error = coupling.MAGNETIC_MOMENT
    wanted = centre + np.array([[-2], [2]]) * error
    band = coupling.magnetic_moment_band(mass)
    for m, (low, high) in zip(mass, band.T, strict=True):
        ratio = (m / MUON_MASS) ** 2
        integral, _ = quad(lambda x, r=ratio: 2 * x**2 * (1 - x) / (x**2 + (1 - x) * r), 0, 1)
        np.testing.assert_allclose(
            np.array([low, high]) ** 2 * integral / 8 / np.pi**2, wanted.T[0]
        )
    # What makes the difference between the years: the one of 2025 is none.
    assert 26e-11 - 2 * 66e-11 < 0 < wanted[0, 0]


@pytest.mark.parametrize(
    ("mass", "states"),  # left-handed neutrinos count one half, charged leptons one
    [(0.2, 1.0), (3.5, 2.0), (1e4, 3.0)],
)
def test_widths_count_the_leptons_that_are_light_enough(mass, states):
    width = coupling.width_over_g2(np.array([mass]))[0]
    assert width == pytest.approx(states * mass / (12 * np.pi), rel=5e-6)  # r enters squared
    wide = coupling.wide_coupling(np.array([mass]), np.array([0.01]))[0]
    assert wide**2 * width == pytest.approx(0.01)


def test_shipped_limits_have_a_source_and_say_how_well_they_are_known():
    shipped = coupling.read_published(coupling.SHIPPED)
    assert [one.label[:12] for one in shipped] == ["Belle II 202"] * 2
    assert all("arXiv" in one.source and one.accuracy for one in shipped)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"limit": "[1]"}, "1 limits for 2 masses"),
        ({"mass": "[1, 0.5]"}, "must ascend"),
        ({"quantity": "epsilon"}, "quantity"),
        ({"limit": "[1, -2]"}, "greater than 0"),
        ({"source": ""}, "source"),
        ({"colour": "red"}, "colour"),
        ({"mass": "[1, 2"}, "correct the YAML"),
    ],
)
def test_what_is_no_published_limit_is_refused(tmp_path, changes, said):
    with pytest.raises(InputError, match=said) as refused:
        coupling.read_published([written(tmp_path / "a.yaml", **changes)])
    assert "a.yaml" in str(refused.value)
