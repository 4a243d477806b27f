import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from minigrad.models.vocabulary import UNKNOWN, Vocabulary

from minigrad.errors import ArgumentError, DTypeError, IndexingError


@given(st.text(min_size=1))
def test_decoding_what_was_encoded_gives_the_text_back(text: str) -> None:
    vocabulary = Vocabulary.from_text(text)
    assert vocabulary.decode(vocabulary.encode(text)) == text


@given(st.lists(st.text(alphabet="abcé日", min_size=1), min_size=1))
def test_words_come_back_joined_by_single_spaces(words: list[str]) -> None:
    vocabulary = Vocabulary.from_text("\n".join(words), unit="word")
    assert vocabulary.decode(vocabulary.encode(" \t ".join(words))) == " ".join(words)


def test_the_most_frequent_symbol_comes_first_and_equal_counts_go_by_code_point() -> None:
    assert Vocabulary.from_text("cbabc").symbols == ("b", "c", "a")


def test_the_numbering_does_not_depend_on_the_order_of_the_text() -> None:
    assert Vocabulary.from_text("hello world") == Vocabulary.from_text("dlrow olleh")


def test_symbols_left_out_are_encoded_as_the_unknown_one() -> None:
    vocabulary = Vocabulary.from_text("aaabbc", min_count=2, unknown=UNKNOWN)
    assert vocabulary.symbols == ("a", "b", UNKNOWN)
    assert vocabulary.encode("acbz").tolist() == [0, 2, 1, 2]
    assert vocabulary.decode([0, 2]) == "a" + UNKNOWN


def test_max_size_counts_the_special_symbols_too() -> None:
    vocabulary = Vocabulary.from_text("aaabbc", max_size=3, unknown="?", padding="_")
    assert vocabulary.symbols == ("a", "?", "_")
    assert len(vocabulary) == 3


def test_special_symbols_that_occur_in_the_text_keep_their_single_number() -> None:
    assert Vocabulary.from_text("a?a", unknown="?").symbols == ("a", "?")


def test_encoded_symbols_are_int64_also_for_the_empty_text() -> None:
    vocabulary = Vocabulary(("a",))
    assert vocabulary.encode("aa").dtype == np.int64
    assert vocabulary.encode("").shape == (0,)
    assert vocabulary.decode([]) == ""


def test_an_unknown_symbol_is_named_when_nothing_stands_for_it() -> None:
    with pytest.raises(ArgumentError, match="'z' is not among the 2 characters"):
        Vocabulary(("a", "b")).encode("abz")


def test_leaving_symbols_out_needs_an_unknown_symbol() -> None:
    with pytest.raises(ArgumentError, match=r"leave out 1 of 2 characters .* give unknown="):
        Vocabulary.from_text("aab", min_count=2)


@pytest.mark.parametrize("number", [-1, 2, 2**40])
def test_a_number_that_is_no_symbol_is_refused_and_never_wraps_round(number: int) -> None:
    with pytest.raises(IndexingError, match=rf"number {number} at position 1 is no symbol; .* 0 \.\. 1"):
        Vocabulary(("a", "b")).decode([0, number])


def test_decoding_floats_is_refused() -> None:
    with pytest.raises(DTypeError, match="float64"):
        Vocabulary(("a", "b")).decode([0.5])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Vocabulary(()), "at least one symbol"),
        (lambda: Vocabulary.from_text(""), "at least one symbol"),
        (lambda: Vocabulary(("a", "b", "a")), "'a' was given 2 times"),
        (lambda: Vocabulary(("ab",)), "'ab' is not one character"),
        (lambda: Vocabulary(("",)), "'' is not one character"),
        (lambda: Vocabulary(("two words",), unit="word"), "'two words' is not one word"),
        (lambda: Vocabulary(("a",), unknown="?"), r"the unknown symbol '\?' must be one of"),
        (lambda: Vocabulary(("a",), padding="_"), "the padding symbol '_' must be one of"),
        (lambda: Vocabulary(("a",), unit="syllable"), "unit: expected one of 'character', 'word'"),
        (lambda: Vocabulary.from_text("a", unit="syllable"), "unit: expected one of 'character', 'word'"),
    ],
)
def test_what_is_no_vocabulary_is_refused(make: object, message: str) -> None:
    assert callable(make)
    with pytest.raises(ArgumentError, match=message):
        make()


def test_a_vocabulary_cannot_be_changed() -> None:
    vocabulary = Vocabulary(("a", "b"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        vocabulary.symbols = ("c",)


def test_membership_length_and_repr() -> None:
    vocabulary = Vocabulary(["to", "be"], unit="word")
    assert "be" in vocabulary
    assert "bee" not in vocabulary
    assert repr(vocabulary) == "Vocabulary of 2 words"
    assert hash(vocabulary) == hash(Vocabulary(("to", "be"), unit="word"))


def test_the_symbols_with_a_task_may_take_all_the_room_there_is() -> None:
    for size in (1, 2):
        vocabulary = Vocabulary.from_text("aab", max_size=size, unknown="?", padding="_")
        assert vocabulary.symbols == ("?", "_")
    assert Vocabulary.from_text("aab", max_size=3, unknown="?", padding="_").symbols == ("a", "?", "_")
