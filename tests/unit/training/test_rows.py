"""Rows of tokens, padded and put into batches."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="the optional extra [train] isn't installed", exc_type=ImportError)

from rows import PAD, batches, padded

pytestmark = pytest.mark.unit
LENGTHS = [int(length) for length in np.random.default_rng(2).integers(1, 97, size=401)]


def test_rows_are_padded_to_the_longest_and_the_mask_says_where_tokens_are() -> None:
    ids, mask = padded([[7, 8, 9], [5], [PAD, 6]])  # the padding's number may stand in a text too
    assert ids.tolist() == [[7, 8, 9], [5, PAD, PAD], [PAD, 6, PAD]]
    assert mask.tolist() == [[1, 1, 1], [1, 0, 0], [1, 1, 0]]


@pytest.mark.parametrize("random", [None, np.random.default_rng(1)])
def test_every_row_is_in_one_batch_among_rows_of_like_length(random: np.random.Generator | None) -> None:
    found = batches(LENGTHS, 4, random)
    assert sorted(index for batch in found for index in batch) == list(range(len(LENGTHS)))
    assert sorted(map(len, found))[0] == 1  # 401 rows: one is left over
    assert {len(batch) for batch in found} == {1, 4}
    padding = sum(max(LENGTHS[index] for index in batch) - LENGTHS[index] for batch in found for index in batch)
    assert padding < 0.05 * sum(LENGTHS)


def test_batches_are_mixed_anew_each_time_and_the_same_way_from_the_same_seed() -> None:
    random, again = np.random.default_rng(4), np.random.default_rng(4)
    first, second = batches(LENGTHS, 4, random), batches(LENGTHS, 4, random)
    assert {frozenset(batch) for batch in first} != {frozenset(batch) for batch in second}
    assert [first, second] == [batches(LENGTHS, 4, again), batches(LENGTHS, 4, again)]
    longest = [max(LENGTHS[index] for index in batch) for batch in first[:20]]
    assert longest != sorted(longest)  # short texts don't all come first
    assert batches(LENGTHS, 4) == batches(LENGTHS, 4)
