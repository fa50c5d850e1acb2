"""Neighbours and neighbour graphs: what the blocks find is what a plain table of all pairs says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labelwright.tools.strategies.graph import (
    ball_graph,
    largest,
    nearest_others,
    tiles,
    two_way,
)
from numpy.typing import NDArray
from strategy_contract import unit


def some(n: int, d: int = 6, seed: int = 0) -> NDArray[np.float32]:
    return unit(np.random.default_rng(seed).standard_normal((n, d)))


def plain_nearest(points: NDArray[np.float32], kept: int, count: int) -> NDArray[np.float32]:
    cosine = points[:count].astype(np.float64) @ points.T
    cosine[np.arange(count), np.arange(count)] = -2
    return np.sort(cosine, axis=1)[:, -kept:].astype(np.float32)


def cosines_of(points: NDArray[np.float32], near: NDArray[np.int32]) -> NDArray[np.float32]:
    return np.sort(np.einsum("ikd,id->ik", points[near], points[: len(near)]), axis=1)


class TestLargest:
    @given(st.integers(1, 12), st.integers(1, 900), st.integers(1, 40), st.integers(0, 2**32 - 1))
    @settings(max_examples=60, deadline=None)
    def test_is_the_end_of_the_sorted_row(
        self, rows: int, columns: int, kept: int, seed: int
    ) -> None:
        kept = min(kept, columns)
        # Few different values, so that many are equal at the edge.
        rng = np.random.default_rng(seed)
        values = rng.integers(0, rng.integers(2, 1000), (rows, columns)).astype(np.float32)
        places = largest(values, kept)
        assert places.shape == (rows, kept)
        assert all(len(set(row)) == kept for row in places.tolist())
        got = np.sort(np.take_along_axis(values, places, axis=1), axis=1)
        np.testing.assert_array_equal(got, np.sort(values, axis=1)[:, columns - kept :])

    def test_rows_of_minus_infinity_still_give_as_many(self) -> None:
        values = np.full((3, 500), -np.inf, dtype=np.float32)
        assert [len(set(row)) for row in largest(values, 7).tolist()] == [7, 7, 7]


class TestNearestOthers:
    @pytest.mark.parametrize(
        ("n", "kept", "count"), [(50, 5, 50), (700, 9, 300), (2300, 9, 2300), (2300, 150, 2300)]
    )
    def test_are_those_of_the_plain_table(self, n: int, kept: int, count: int) -> None:
        points = some(n)
        near = nearest_others(points, kept, count)
        assert (near != np.arange(count)[:, None]).all()
        assert all(len(set(row)) == kept for row in near.tolist())
        np.testing.assert_allclose(
            cosines_of(points, near), plain_nearest(points, kept, count), atol=1e-6
        )

    def test_a_last_tile_with_fewer_items_than_are_kept_is_no_exception(self) -> None:
        points = some(2 * 1024 + 3)
        near = nearest_others(points, 20, len(points))
        np.testing.assert_allclose(
            cosines_of(points, near), plain_nearest(points, 20, len(points)), atol=1e-6
        )

    def test_copies_are_neighbours_of_one_another(self) -> None:
        points = np.tile(some(3), (800, 1))
        near = nearest_others(points, 10, 2400)
        assert (near % 3 == np.arange(2400)[:, None] % 3).all()
        assert (near != np.arange(2400)[:, None]).all()


class TestBallGraph:
    @pytest.mark.parametrize("least", [-1.0, 0.3, 0.9, 1.01])
    def test_links_are_those_of_the_plain_table(self, least: float) -> None:
        points = some(1500)
        graph = ball_graph(tiles(points), 1500, least)
        linked = np.zeros((1500, 1500), dtype=bool)
        for node in range(1500):
            linked[node, graph.of(node)] = True
        expected = (points @ points.T >= least) | np.eye(1500, dtype=bool)
        # Rounding differs between one product and many.
        edge = np.abs(points @ points.T - least) < 1e-6
        np.testing.assert_array_equal(linked | edge, expected | edge)
        assert len(graph.ends) == linked.sum()
        assert (linked == linked.T).all()

    def test_each_node_has_itself_alone_where_nothing_is_near(self) -> None:
        graph = ball_graph(tiles(some(30)), 30, 1.01)
        assert [graph.of(node).tolist() for node in range(30)] == [[node] for node in range(30)]

    def test_of_all_is_of_one_after_another(self) -> None:
        graph = ball_graph(tiles(some(200)), 200, 0.5)
        nodes = np.array([7, 3, 150], dtype=np.int32)
        ends, sizes = graph.of_all(nodes)
        assert ends.tolist() == [end for node in nodes for end in graph.of(int(node)).tolist()]
        assert sizes.tolist() == [len(graph.of(int(node))) for node in nodes]


def test_two_way_links_both_of_a_pair() -> None:
    graph = two_way(np.array([[1], [2]], dtype=np.int32), 3)
    assert [graph.of(node).tolist() for node in range(3)] == [[0, 1], [0, 1, 2], [1, 2]]
