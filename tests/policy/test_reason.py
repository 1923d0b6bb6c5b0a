"""The words for what was refused."""

from __future__ import annotations

from superd.policy.reason import MEANINGS, OF_ACCESS, Reason


def test_every_reason_has_a_sentence_that_says_what_it_means() -> None:
    assert list(MEANINGS) == list(Reason)
    assert all(meaning.endswith(".") for meaning in MEANINGS.values())
    assert set(Reason) >= OF_ACCESS


def test_a_reason_and_its_word_are_the_same_key() -> None:
    assert {Reason.SOURCE_RATE: 1}["source-rate"] == 1  # type: ignore[index]  # a dictionary of reasons, asked by word
