"""The surface on which a function of three coordinates has one value, as triangles."""

from itertools import permutations

import numpy as np

from punzinet.analysis.types import FloatArray, IntArray


def _tetrahedra() -> IntArray:
    """The six tetrahedra (6, 4, 3) around the diagonal of a unit cube, as corners."""
    paths = []
    for axes in permutations(range(3)):
        corners = np.zeros((4, 3), dtype=np.int64)
        for i, axis in enumerate(axes):
            corners[i + 1 :, axis] = 1
        paths.append(corners)
    return np.array(paths)


#: Edges that the surface cuts, as pairs (inside, outside) of a tetrahedron's corners sorted with
#: those inside first, by the number of corners inside; a quadrilateral is two triangles.
_CUT: dict[int, tuple[tuple[tuple[int, int], ...], ...]] = {
    1: (((0, 1), (0, 2), (0, 3)),),
    2: (((0, 2), (0, 3), (1, 3)), ((0, 2), (1, 3), (1, 2))),
    3: (((0, 3), (1, 3), (2, 3)),),
}


def isosurface(values: FloatArray, level: float) -> FloatArray:
    """Find the surface of values (a, b, c) on a regular grid in [0, 1]³ by marching tetrahedra.

    Returns the corners (t, 3, 3) of its triangles; none if the level is not crossed.
    """
    cells = np.stack(
        np.meshgrid(*(np.arange(n - 1) for n in values.shape), indexing="ij"), axis=-1
    ).reshape(-1, 1, 1, 3)
    corners = (cells + _tetrahedra()).reshape(-1, 4, 3)
    at = values[tuple(np.moveaxis(corners, -1, 0))] - level
    order = np.argsort(at <= 0, axis=1, kind="stable")
    at = np.take_along_axis(at, order, axis=1)
    corners = np.take_along_axis(corners, order[..., None], axis=1)
    inside = (at > 0).sum(axis=1)
    triangles = []
    for count, parts in _CUT.items():
        rows = inside == count
        for edges in parts:
            i, o = np.array(edges).T
            share = at[rows][:, i] / (at[rows][:, i] - at[rows][:, o])
            start, end = corners[rows][:, i], corners[rows][:, o]
            triangles.append(start + share[..., None] * (end - start))
    size = np.array(values.shape) - 1
    surface: FloatArray = np.concatenate(triangles) / size
    return surface
