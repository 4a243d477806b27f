"""The vectorised model against a second one, written with dictionaries straight from the formulas, and theory."""

from collections import Counter, defaultdict
from itertools import product

import numpy as np
import pytest
from minigrad.models.ngram import NGram
from minigrad.models.vocabulary import IntArray

from minigrad.errors import ArgumentError, LabelError, ShapeError


class DictionaryKneserNey:
    """Interpolated Kneser–Ney, one n-gram at a time."""

    def __init__(self, symbols: list[int], order: int, size: int) -> None:
        self.size = size
        self.order = order
        self.counts: list[Counter[tuple[int, ...]]] = [Counter() for _ in range(order + 1)]
        for length in range(1, order + 1):
            for end in range(length, len(symbols) + 1):
                gram = tuple(symbols[end - length : end])
                self.counts[length][gram] += 1
        for length in range(1, order):
            before: defaultdict[tuple[int, ...], set[object]] = defaultdict(set)
            for end in range(length, len(symbols) + 1):
                start = end - length
                before[tuple(symbols[start:end])].add(symbols[start - 1] if start else "beginning")
            self.counts[length] = Counter({gram: len(left) for gram, left in before.items()})
        self.discounts = [0.0]
        for length in range(1, order + 1):
            values = list(self.counts[length].values())
            n1, n2 = values.count(1), values.count(2)
            self.discounts.append(n1 / (n1 + 2 * n2) if n1 else 0.5)

    def probability(self, context: tuple[int, ...], symbol: int) -> float:
        context = context[-(self.order - 1) :] if self.order > 1 else ()
        return self._probability(context, symbol)

    def _probability(self, context: tuple[int, ...] | None, symbol: int) -> float:
        if context is None:
            return 1 / self.size
        shorter = self._probability(context[1:] if context else None, symbol)
        counts = self.counts[len(context) + 1]
        following = {w: counts[(*context, w)] for w in range(self.size) if counts[(*context, w)]}
        if not following:
            return shorter
        discount, total = self.discounts[len(context) + 1], sum(following.values())
        left = discount * len(following) / total
        return max(following.get(symbol, 0) - discount, 0) / total + left * shorter


def random_text(length: int, size: int, seed: int) -> IntArray:
    """A text whose symbols depend on the two before them, so that contexts matter."""
    rng = np.random.default_rng(seed)
    table = rng.dirichlet(np.full(size, 0.3), size=(size, size))
    symbols = [0, 0]
    while len(symbols) < length:
        symbols.append(int(rng.choice(size, p=table[symbols[-2], symbols[-1]])))
    return np.array(symbols[:length])


@pytest.mark.parametrize("order", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_model_equals_one_written_straight_from_the_formulas(order: int, seed: int) -> None:
    text = random_text(300, 5, seed)
    model, plain = NGram(text[:200], order=order, size=5), DictionaryKneserNey(text[:200].tolist(), order, 5)
    assert model.discounts == tuple(plain.discounts[1:])
    judged = text[200:]
    expected = [plain.probability(tuple(judged[:place].tolist()), int(judged[place])) for place in range(1, 100)]
    np.testing.assert_allclose(np.exp(model.log_probabilities(judged)), expected, rtol=1e-13)


@pytest.mark.parametrize("order", [1, 2, 3, 5, 9])
def test_every_distribution_sums_to_one_and_has_no_zero(order: int) -> None:
    model = NGram(random_text(400, 4, 2), order=order, size=7)
    for context in product(range(7), repeat=min(order - 1, 3)):
        distribution = model.distribution(np.array(context, dtype=np.int64))
        assert distribution.sum() == pytest.approx(1, abs=1e-13)
        assert distribution.min() > 0


def test_the_mass_of_a_long_context_sums_to_one_too() -> None:
    text = random_text(400, 4, 3)
    model = NGram(text, order=6, size=4)
    for start in range(100):
        assert model.distribution(text[start : start + 5]).sum() == pytest.approx(1, abs=1e-13)


def test_a_bigram_worked_out_on_paper() -> None:
    """Text 0 1 0 1 0 1 2. Bigrams 01 ×3, 10 ×2, 12 ×1: D₂ = 1/(1+2) = ⅓. Before 0 stand 1 and the beginning, before 1
    stands 0, before 2 stands 1: counts 2, 1, 1 of 4 and D₁ = 2/(2+2) = ½, so P₁ = (½, ¼, ¼) from uniform thirds.
    P₂(1|0) = (3 − ⅓)/3 + ⅓·1/3 · ¼ = 11/12."""
    model = NGram(np.array([0, 1, 0, 1, 0, 1, 2]), order=2, size=3)
    np.testing.assert_allclose(model.distribution(np.array([], dtype=np.int64)), [1 / 2, 1 / 4, 1 / 4], rtol=1e-15)
    np.testing.assert_allclose(model.distribution(np.array([0])), [1 / 18, 11 / 12, 1 / 36], rtol=1e-14)


def test_a_frequent_symbol_with_one_predecessor_is_rare_elsewhere() -> None:
    """Kneser and Ney's point: Francisco is frequent, but only ever after San."""
    san, francisco, glass = 0, 1, 2
    text = np.array([san, francisco] * 20 + [3, glass, 4, glass, 5, glass, 6, glass])
    model = NGram(text, order=2, size=8)
    after_something_else = model.distribution(np.array([7]))
    assert after_something_else[glass] > 2 * after_something_else[francisco]


def test_an_unseen_context_says_what_its_shorter_form_says() -> None:
    text = random_text(300, 4, 4)
    model = NGram(text, order=4, size=6)
    seen = text[10:12]
    unseen = np.concatenate([[5], seen])
    np.testing.assert_array_equal(model.distribution(unseen), model.distribution(seen))


def test_symbols_further_back_than_the_window_do_not_matter() -> None:
    text = random_text(300, 4, 5)
    model = NGram(text, order=3, size=4)
    np.testing.assert_array_equal(model.distribution(text[:50]), model.distribution(text[48:50]))


def test_longer_windows_predict_a_text_with_memory_better_until_counts_run_out() -> None:
    text = random_text(20_000, 6, 6)
    learn, judge = text[:18_000], text[18_000:]
    first, second, third = (NGram(learn, order=order, size=6).perplexity(judge) for order in (1, 2, 3))
    assert 6 > first > second > third
    entropy_bound = NGram(judge, order=3, size=6).perplexity(judge)
    assert third > entropy_bound


def test_perplexity_is_exp_of_the_mean_negative_log_probability_over_all_predictions() -> None:
    text = random_text(500, 5, 7)
    model = NGram(text[:400], order=3, size=5)
    judged = text[400:]
    product_of_all = 1.0
    for place in range(1, len(judged)):
        product_of_all *= model.distribution(judged[:place])[judged[place]]
    assert model.perplexity(judged) == pytest.approx(product_of_all ** (-1 / 99), rel=1e-12)


def test_an_untaught_symbol_costs_a_finite_amount() -> None:
    assert np.isfinite(NGram(np.zeros(100, dtype=np.int64), order=3, size=10).perplexity(np.array([0, 9, 0, 9])))


@pytest.mark.parametrize("text", [[0], [0, 0], [0, 1], [1, 1, 1, 1, 1], [0, 0, 1, 1]])
@pytest.mark.parametrize("order", [1, 2, 5, 30])
def test_tiny_texts_and_orders_beyond_their_length_still_give_a_distribution(text: list[int], order: int) -> None:
    model = NGram(np.array(text), order=order, size=3)
    for context in ([], [0], [1, 0], text):
        assert model.distribution(np.array(context, dtype=np.int64)).sum() == pytest.approx(1, abs=1e-14)


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ArgumentError, match="order must be an integer ≥ 1, got 0"):
        NGram(np.array([0, 1]), order=0, size=2)
    with pytest.raises(ArgumentError, match=r"order must be an integer ≥ 1, got 1\.5"):
        NGram(np.array([0, 1]), order=1.5, size=2)
    from_list, from_array = NGram([0, 1, 0], order=2, size=2), NGram(np.array([0, 1, 0]), order=2, size=2)
    assert from_list.perplexity([0, 1]) == from_array.perplexity(np.array([0, 1]))
    with pytest.raises(ArgumentError, match="at least one symbol to learn from"):
        NGram(np.array([], dtype=np.int64), order=2, size=2)
    with pytest.raises(LabelError, match=r"symbol 2 is outside 0 \.\. 1"):
        NGram(np.array([0, 2]), order=2, size=2)
    with pytest.raises(ShapeError, match=r"\(1, 2\)"):
        NGram(np.array([[0, 1]]), order=2, size=2)
    model = NGram(np.array([0, 1]), order=2, size=2)
    with pytest.raises(ArgumentError, match="at least 2 symbols"):
        model.perplexity(np.array([0]))
    with pytest.raises(LabelError, match=r"symbol 2 is outside"):
        model.perplexity(np.array([0, 2]))
