"""Figures inside of the report."""

import base64

from punzinet.analysis.search import RECOIL
from punzinet.plots.report.page import read_captions, read_pictures

GRAPHIC = '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


def test_figures_are_images_in_the_order_of_the_captions(tmp_path):
    captions = read_captions(RECOIL.variable.mass)["run"]
    for name in ("features", "sigma_min", "another_one", "recoil_mass"):
        (tmp_path / f"{name}.svg").write_text(GRAPHIC)
        (tmp_path / f"{name}.png").write_bytes(b"pixels")
    (tmp_path / "pixels.png").write_bytes(b"pixels")
    pictures = read_pictures(tmp_path, captions)
    names = ["recoil_mass", "sigma_min", "features", "another_one", "pixels"]
    assert [picture.name for picture in pictures] == names
    assert pictures[0].title == "Recoil mass before and after the single cut"
    assert (pictures[3].title, pictures[3].caption) == ("Another one", "")
    # As an image, nothing in a graphic runs or is loaded.
    assert [picture.data.partition(",")[0] for picture in pictures] == [
        *["data:image/svg+xml;base64"] * 4, "data:image/png;base64",
    ]  # fmt: skip
    assert base64.b64decode(pictures[0].data.partition(",")[2]).decode() == GRAPHIC
