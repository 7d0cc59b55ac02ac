"""The exact minimum of a labelling problem on a grid with three ordered labels, by maximum flow."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import breadth_first_order, maximum_flow

LABELS = 3
UNITS = 2**24  # the sum of a problem's terminal capacities; SciPy's capacities are 32-bit integers
TOGETHER = 32  # problems in one graph: their flows sum to at most 2**29


def cheapest_labels(costs: np.ndarray, down: np.ndarray, across: np.ndarray) -> np.ndarray:
    """Return the labelling with the smallest total cost of each problem, int64 [M, h, w], labels 0, 1 and 2.

    The total cost is the sum of each cell's cost for its label, and of weight·(i - j)²/4 over all neighbours with
    labels i and j. Two binary variables for each cell, "label is at least 1" and "label is 2", turn the problem into a
    minimum cut (Ishikawa 2003), which maximum flow solves exactly. Costs are rounded to about 2**-24 of their sum. Of
    several cheapest labellings, the one with the lowest labels is returned.

    costs: float [M, h, w, 3], the cost of each label.
    down: float [M, h - 1, w], 0 or more: weights between a cell and the one below it.
    across: float [M, h, w - 1], 0 or more: weights between a cell and the one to its right.
    """
    count, height, width = costs.shape[:3]
    cheapest = costs.reshape(count, -1, LABELS).argmin(axis=2)
    labels = np.repeat(cheapest[:, :1], height * width, axis=1)
    weights = np.concatenate([down.reshape(count, -1), across.reshape(count, -1)], axis=1) / 4
    # If all cells want the same label, no cut is needed: equal neighbours cost nothing.
    hard = np.flatnonzero((cheapest != cheapest[:, :1]).any(axis=1))
    for part in np.split(hard, range(TOGETHER, len(hard), TOGETHER)):
        if len(part):
            labels[part] = _cut(costs[part].reshape(len(part), -1, LABELS), weights[part], height, width)
    return labels.reshape(count, height, width)


class _Graph(NamedTuple):
    """The graph of several problems: a source, a sink and two nodes for each cell.

    order: position of each arc, as listed by `_cut`, in the sparse matrix.
    indices, indptr: of the sparse matrix.
    """

    order: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray


@lru_cache(maxsize=64)
def _graph(count: int, height: int, width: int) -> _Graph:
    cell = np.arange(height * width).reshape(height, width)
    first = np.concatenate([cell[:-1].ravel(), cell[:, :-1].ravel()])
    second = np.concatenate([cell[1:].ravel(), cell[:, 1:].ravel()])
    cells = height * width
    nodes = np.arange(2 * cells * count)
    source, sink = len(nodes), len(nodes) + 1
    start = 2 * cells * np.arange(count)[:, None]
    arcs = [(np.full_like(nodes, source), nodes), (nodes, np.full_like(nodes, sink))]
    arcs.append(((start + cells + cell.ravel()).ravel(), (start + cell.ravel()).ravel()))
    low, high = ([(start + level * cells + ends).ravel() for ends in (first, second)] for level in (0, 1))
    arcs += [(low[0], low[1]), (low[1], low[0]), (high[0], high[1]), (high[1], high[0])]
    arcs += [(high[0], low[1]), (high[1], low[0])]
    rows, columns = (np.concatenate([arc[end] for arc in arcs]) for end in (0, 1))
    order = np.lexsort((columns, rows))
    indptr = np.searchsorted(rows[order], np.arange(len(nodes) + 3)).astype(np.int32)
    return _Graph(order, columns[order].astype(np.int32), indptr)


def _cut(costs: np.ndarray, weights: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return labels int64 [M, h·w] by one maximum flow.

    With x = "label is at least 1" and X = "label is 2" of a cell, and y and Y of its neighbour,
    (i - j)² = |x - y| + |X - Y| + 2·X·(1 - y) + 2·Y·(1 - x).

    costs: float [M, h·w, 3].
    weights: float [M, P], a quarter of the weights of the pairs of neighbours; pairs one above the other come first.
    """
    count, cells = costs.shape[:2]
    graph = _graph(count, height, width)
    terminal = np.diff(costs, axis=2).swapaxes(1, 2).reshape(count, -1)  # the cost of each x, then of each X
    scale = UNITS / np.maximum(np.abs(terminal).sum(axis=1, keepdims=True), np.finfo(float).tiny)
    terminal = np.rint(terminal * scale).astype(np.int32)
    pairs = np.rint(np.minimum(weights * scale, UNITS)).astype(np.int32).ravel()  # as much as all costs together
    never = np.full(count * cells, 2 * UNITS, dtype=np.int32)  # X without x
    # A node on the side of the source is true. Arcs from true to false nodes are cut, and their capacities are paid.
    listed = [np.maximum(-terminal, 0).ravel(), np.maximum(terminal, 0).ravel(), never, *[pairs] * 4, *[2 * pairs] * 2]
    nodes = 2 * cells * count + 2
    capacities = csr_matrix((np.concatenate(listed)[graph.order], graph.indices, graph.indptr), shape=(nodes, nodes))
    left = capacities - maximum_flow(capacities, nodes - 2, nodes - 1).flow
    left.eliminate_zeros()
    true = np.zeros(nodes, dtype=bool)
    true[breadth_first_order(left, nodes - 2, return_predecessors=False)] = True
    return true[:-2].reshape(count, 2, cells).sum(axis=1)
