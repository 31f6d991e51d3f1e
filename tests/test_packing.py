"""Records in rows: every unit in one place, and records apart."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from coreloss.networks.packing import Packing, pack, pack_tightly


@st.composite
def coverages(draw: st.DrawFn) -> np.ndarray:
    n, units = draw(st.integers(1, 30)), draw(st.integers(1, 50))
    first = [draw(st.integers(0, units - 1)) for _ in range(n)]
    length = [draw(st.integers(0, units - begin)) for begin in first]
    place = np.arange(units)[None, :]
    begin, size = np.array(first)[:, None], np.array(length)[:, None]
    return (place >= begin) & (place < begin + size)


@settings(max_examples=60, deadline=None)
@given(covered=coverages())
def test_every_unit_stands_in_one_place_and_records_keep_apart(covered: np.ndarray) -> None:
    plan, tight = pack(covered), pack_tightly(covered)
    assert tight.rows * tight.width <= plan.rows * plan.width
    for one in (plan, tight):
        check(covered, one)


def check(covered: np.ndarray, plan: Packing) -> None:
    """Every unit in one place, records apart, in one piece and in order."""
    n, units = covered.shape
    assert plan.width <= units
    assert sorted(plan.home) == np.flatnonzero(covered).tolist()
    assert np.unique(plan.place).size == plan.place.size
    assert (plan.unit[plan.place] == plan.home % units).all()
    record = np.full(plan.rows * plan.width, -1)
    record[plan.place] = plan.home // units
    record = record.reshape(plan.rows, plan.width)
    side = (record[:, 1:] >= 0) & (record[:, :-1] >= 0)
    assert (record[:, 1:] == record[:, :-1])[side].all()
    # a record stands in one piece, in order
    for one in range(n):
        at = np.flatnonzero(record.ravel() == one)
        assert at.size == covered[one].sum()
        if at.size:
            assert at[-1] - at[0] + 1 == at.size
            assert at[0] // plan.width == at[-1] // plan.width
            assert (np.diff(plan.unit[at]) == 1).all()
    taken = plan.source < plan.rows * plan.width
    assert (taken.reshape(n, units) == covered).all()
    assert (plan.place[np.argsort(plan.home)] == plan.source[taken]).all()


def test_short_records_need_few_rows() -> None:
    covered = np.zeros((40, 50), dtype=bool)
    covered[:, 10:20] = True
    # four of ten units and their gaps in fifty, and each 16 records by themselves
    assert pack(covered).rows == 4 + 4 + 2
    assert pack(covered[:1]).width == 10


def test_rows_for_inference_are_no_wider_than_their_records() -> None:
    covered = np.zeros((45, 50), dtype=bool)
    covered[:, 10:39] = True
    plan = pack_tightly(covered)
    assert (plan.rows, plan.width) == (45, 29)
    covered[:, 18:] = False
    # gaps between records cost more than rows
    assert (pack_tightly(covered).rows, pack_tightly(covered).width) == (45, 8)


def test_halves_of_a_batch_have_the_rows_of_the_whole() -> None:
    rng = np.random.default_rng(2)
    first = rng.integers(0, 40, 64)[:, None]
    place = np.arange(50)[None, :]
    covered = (place >= first) & (place < first + rng.integers(1, 30, 64)[:, None])
    whole, halves = pack(covered), [pack(covered[:32]), pack(covered[32:])]
    assert whole.rows == sum(half.rows for half in halves)
    assert whole.unit.tolist() == [*halves[0].unit, *halves[1].unit]


def test_no_records_and_empty_ones_have_a_row_to_stand_in() -> None:
    for covered in (np.zeros((0, 50), dtype=bool), np.zeros((3, 50), dtype=bool)):
        plan = pack(covered)
        assert plan.rows == 1
        assert plan.place.size == 0
        assert (plan.source == plan.rows * plan.width).all()
