"""The order in which a sample is read: all of it in the end, evenly from the beginning on."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.domain.sampling import STRETCHES, rounds

Offsets = dict[int, tuple[int, int]]
_OFFSETS: st.SearchStrategy[Offsets] = st.dictionaries(
    st.integers(0, 5),
    st.tuples(st.integers(0, 10_000), st.integers(0, 700)).map(lambda pair: (pair[0], sum(pair))),
    max_size=4,
)


@given(_OFFSETS)
def test_every_record_is_read_once_each_partition_by_one_window_at_a_time(
    offsets: dict[int, tuple[int, int]],
) -> None:
    read: dict[int, list[int]] = {number: [] for number in offsets}
    lengths: dict[tuple[int, int], int] = {}
    for windows in rounds(offsets):
        assert windows
        assert len({window.partition for window in windows}) == len(windows)
        for window in windows:
            assert window.start < window.stop
            read[window.partition] += range(window.start, window.stop)
            lengths[window.partition, window.stretch] = window.length
    for number, (start, end) in offsets.items():
        assert sorted(read[number]) == list(range(start, end))
        assert sum(length for (partition, _), length in lengths.items() if partition == number) == end - start


def test_every_beginning_of_a_pass_is_spread_over_all_of_the_time() -> None:
    sequence = [windows[0].stretch for windows in rounds({0: (0, 32_000)})]
    assert sorted(sequence[:STRETCHES]) == list(range(STRETCHES))
    for count in (2, 4, 8, 16, 32):
        width = STRETCHES // count
        assert {stretch // width for stretch in sequence[:count]} == set(range(count))


def test_little_of_each_stretch_is_read_first() -> None:
    sizes = [windows[0].stop - windows[0].start for windows in rounds({0: (100, 100 + 32 * 100)})]
    assert sizes[0] == sizes[STRETCHES - 1] == 2
    assert sizes[STRETCHES] == 4
