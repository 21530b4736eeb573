"""Averaging of dual variables between neighbours: the graph, its weights and J rounds of (75) of arXiv 2203.13950."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rangym.envs.errors import WrongValue


def consensus_graph(ue_home: NDArray, own_bs: NDArray, own_dc: NDArray) -> NDArray:
    """Neighbours (V, V) of V = N + B + S nodes, UEs first, then base stations, then data centres.

    UEs with the same ``ue_home`` (N,) are neighbours, each UE of its base stations ``own_bs`` (N, B), each base station
    of its data centres ``own_dc`` (B, S), and all data centres of each other.
    """
    (ues, stations), centres = own_bs.shape, own_dc.shape[1]
    graph = np.zeros((ues + stations + centres,) * 2, dtype=bool)
    graph[:ues, :ues] = ue_home[:, None] == ue_home
    graph[:ues, ues : ues + stations] = own_bs
    graph[ues : ues + stations, ues + stations :] = own_dc
    graph[ues + stations :, ues + stations :] = True
    graph |= graph.T
    np.fill_diagonal(graph, False)
    return graph


def consensus_weights(graph: NDArray, chi: float | None = None, form: str = "corrected") -> NDArray:
    """Doubly stochastic weights W = 1 - chi Laplacian (V, V).

    ``chi`` is 1 / (greatest degree + 1), or with ``form="printed"`` the paper's 1/V - 1e-3; any number above 0 and
    below 1 / greatest degree may be given.

    >>> consensus_weights(np.array([[False, True], [True, False]]))
    array([[0.5, 0.5],
           [0.5, 0.5]])
    """
    if not np.array_equal(graph, graph.T):
        raise WrongValue("graph: a symmetric matrix of neighbours wanted, got one that is not")
    degree = graph.sum(axis=1)
    greatest = int(degree.max())
    if chi is None:
        chi = 1.0 / len(graph) - 1e-3 if form == "printed" else 1.0 / (greatest + 1.0)
    if not 0.0 < chi * greatest < 1.0:
        raise WrongValue(f"chi: a number above 0 and below 1 / {greatest} wanted, got {chi}")
    return np.where(graph, chi, 0.0) + np.diag(1.0 - chi * degree)


def rounds_matrix(weights: NDArray, rounds: int) -> NDArray:
    """What exactly ``rounds`` rounds of averaging do at once (V, V)."""
    if rounds < 1:
        raise WrongValue(f"rounds: at least 1 wanted, got {rounds}")
    return np.linalg.matrix_power(weights, rounds)


def contraction(weights: NDArray) -> float:
    """Second largest eigenvalue modulus: the factor by which a round shrinks disagreement at least."""
    return float(np.sort(abs(np.linalg.eigvalsh(weights)))[-2])
