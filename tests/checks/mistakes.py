"""Wrong derivations, each made of a right one by changing a line, and what they are to be called."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from derivation_cases import CASES, Case, functions
from sampling import covering

from minigrad import check_backward
from minigrad.checks import Report

__all__ = ["BY_ID", "MISTAKES", "SAMPLE", "Mistake", "report_of"]


class Mistake(NamedTuple):
    """What is changed in a case, and the kinds of mistakes that are then named (one of them)."""

    case: Case
    changes: tuple[tuple[str, str], ...]
    kinds: tuple[str, ...]


BY_ID = {case.id: case for case in CASES}


@cache
def report_of(case_id: str, *changes: tuple[str, str]) -> Report:
    """What is said of a case with these changes: found once, for all tests that ask."""
    case = BY_ID[case_id]
    return check_backward(*functions(case, *changes), case.arguments(), seconds=30.0, **case.options)


def rows(case: str, *mistakes: tuple[str, str, str]) -> list[Mistake]:
    """(old, new, kinds with | between them)."""
    return [Mistake(BY_ID[case], ((old, new),), tuple(kinds.split("|"))) for old, new, kinds in mistakes]


MISTAKES = [
    *rows(
        "course_columns:rnn_cell_backward",
        ("(1 - a_next**2) * da_next", "(1 - np.tanh(a_next)**2) * da_next", "activation derivative"),
        ("(1 - a_next**2) * da_next", "(1 - a_next) * da_next", "activation derivative"),
        ("(1 - a_next**2) * da_next", "da_next", "activation derivative"),
        ("(1 - a_next**2) * da_next", "(1 - a_prev**2) * da_next", "activation derivative"),
        ("(1 - a_next**2) * da_next", "a_next * (1 - a_next) * da_next", "activation derivative"),
        ("np.dot(Waa.T, dtanh)", "np.dot(Waa, dtanh)", "not transposed"),
        ("np.dot(Waa.T, dtanh)", "np.dot(Waa.T, da_next)", "wrong upstream gradient|activation derivative"),
        ("np.dot(dtanh, a_prev.T)", "np.dot(dtanh, a_next.T)", "operand of the wrong step"),
        ("np.sum(dtanh, axis=1, keepdims=True)", "np.mean(dtanh, axis=1, keepdims=True)", "averaged instead of summed"),
        (
            "np.sum(dtanh, axis=1, keepdims=True)",
            "np.sum(da_next, axis=1, keepdims=True)",
            "wrong upstream gradient|activation derivative",
        ),
        ("np.sum(dtanh, axis=1, keepdims=True)", "np.sum(dtanh, axis=0, keepdims=True)", "summed over the wrong axis"),
        ("np.sum(dtanh, axis=1, keepdims=True)", "dtanh", "not summed"),
        ("np.dot(dtanh, xt.T)", "np.dot(xt, dtanh.T)", "transposed"),
    ),
    *rows(
        "course_columns:rnn_backward",
        ("da[:, :, t] + da_prevt", "da[:, :, t]", "state gradient not carried"),
        ("dWaa += gradients", "dWaa = gradients", "overwritten, not accumulated"),
        ("da0 = da_prevt", "da0 = np.zeros_like(da_prevt)", "never computed|is zero|path missing|state gradient not carried"),
        ("reversed(range(T_x))", "reversed(range(1, T_x))", "a step is skipped"),
        ("reversed(range(T_x))", "range(T_x)", ""),
        ('da_prevt = gradients["da_prev"]', 'da_prevt += gradients["da_prev"]', "state gradient accumulated"),
        ("np.dot(Waa.T, dtanh)", "np.dot(Waa, dtanh)", "not transposed"),
        ("da[:, :, t] + da_prevt", "da[:, :, T_x - 1 - t] + da_prevt", ""),
        ("da[:, :, t] + da_prevt", "da_prevt if t < T_x - 1 else da[:, :, t]", "path missing"),
        ('dba += gradients["dba"]', 'dba += gradients["dba"] + dba', "adds itself"),
    ),
    *rows(
        "course_columns:lstm_cell_backward",
        ("(1 - ot)", "(1 - ot**2)", "activation derivative"),
        ("da_next * np.tanh(c_next) * ot", "da_next * c_next * ot", "wrong factor|operand of the wrong step"),
        ("(1 - cct**2)", "(1 - np.tanh(cct)**2)", "activation derivative"),
        ("(1 - cct**2)", "1", "activation derivative"),
        ("it * (1 - it)", "it * (1 - cct)", "activation derivative|wrong factor"),
        ("* it * (1 - it)", "* (1 - it)", "activation derivative"),
        ("* ft * (1 - ft)", "* it * (1 - it)", "activation derivative"),
        (
            "(dc_next * cct + ot * (1 - np.tanh(c_next) ** 2) * cct * da_next) * it * (1 - it)",
            "dc_next * cct + ot * (1 - np.tanh(c_next) ** 2) * cct * da_next * it * (1 - it)",
            "operator precedence",
        ),
        (
            "(dc_next * c_prev + ot * (1 - np.tanh(c_next) ** 2) * c_prev * da_next) * ft",
            "(dc_next * c_prev + ot * (1 - np.tanh(c_next) ** 2) * da_next) * ft",
            "factor missing|operator precedence",
        ),
        (
            "(dc_next * c_prev + ot * (1 - np.tanh(c_next) ** 2) * c_prev * da_next) * ft",
            "(dc_next + ot * (1 - np.tanh(c_next) ** 2) * da_next * c_prev) * ft",
            "factor missing|operator precedence",
        ),
        ("(dc_next * c_prev + ot *", "(dc_next * c_next + ot *", ""),
        ("dc_next * ft + ot * (1 - np.tanh(c_next) ** 2) * ft * da_next", "dc_next * ft", "path missing"),
        ("dc_next * ft + ot * (1 - np.tanh(c_next) ** 2) * ft * da_next", "dc_next", ""),
        (
            "dc_next * ft + ot * (1 - np.tanh(c_next) ** 2) * ft * da_next",
            "dc_next * it + ot * (1 - np.tanh(c_next) ** 2) * it * da_next",
            "wrong factor",
        ),
        (
            "dc_next * ft + ot * (1 - np.tanh(c_next) ** 2) * ft * da_next",
            "(dc_next + ot * (1 - c_next ** 2) * da_next) * ft",
            "activation derivative",
        ),
        ("+ np.dot(Wo[:, :n_a].T, dot)", "", "path missing"),
        ("+ np.dot(Wi[:, n_a:].T, dit)", "", "path missing"),
        ("np.dot(Wi[:, n_a:].T, dit)", "np.dot(Wi[:, n_a:].T, dft)", "wrong upstream gradient"),
        ("np.dot(Wc[:, :n_a].T, dcct)", "np.dot(Wi[:, :n_a].T, dcct)", "wrong factor"),
        ("np.concatenate((a_prev, xt), axis=0)", "np.concatenate((a_next, xt), axis=0)", "operand of the wrong step"),
        ("np.concatenate((a_prev, xt), axis=0)", "np.concatenate((xt, a_prev), axis=0)", "parts in the wrong order"),
        ("dWi = np.dot(dit, concat.T)", "dWi = np.dot(dft, concat.T)", "wrong upstream gradient|wrong accumulator"),
        ("dWo = np.dot(dot, concat.T)", "dWo = np.dot(dot, concat.T) / m", "factor"),
        ("dbc = np.sum(dcct, axis=1, keepdims=True)", "dbc = np.sum(dcct * cct, axis=1, keepdims=True)", ""),
        (
            "dbf = np.sum(dft, axis=1, keepdims=True)",
            "dbf = np.sum(dft, axis=1, keepdims=True) / m",
            "averaged instead of summed",
        ),
        ('dWf, "dbf": dbf, "dWi": dWi', 'dWi, "dbf": dbf, "dWi": dWf', "gradients exchanged"),
        ("dot = da_next", "dot = -da_next", "sign"),
        ("dcct = (dc_next * it", "dcct = (dc_next * it * 2", ""),
        ("1 - np.tanh(c_next) ** 2", "np.tanh(c_next) ** 2", "activation derivative"),
    ),
    *rows(
        "course_columns:lstm_backward",
        ("da[:, :, t] + da_prevt, dc_prevt", "da[:, :, t], dc_prevt", "state gradient not carried"),
        ("da[:, :, t] + da_prevt, dc_prevt", "da[:, :, t] + da_prevt, np.zeros((n_a, m))", "state gradient not carried"),
        ("da[:, :, t] + da_prevt, dc_prevt", "da[:, :, t], np.zeros((n_a, m))", "state gradient not carried"),
        ("da[:, :, t] + da_prevt, dc_prevt", "da[:, :, t] + da_prevt, da_prevt", ""),
        ("totals.get(name, 0) + gradients[name]", "gradients[name]", "overwritten, not accumulated"),
        ("(1 - np.tanh(c_next) ** 2) * ft * da_next", "(1 - c_next ** 2) * ft * da_next", "activation derivative"),
        (
            "dc_prev = dc_next * ft + ot * (1 - np.tanh(c_next) ** 2) * ft * da_next",
            "dc_prev = dc_next * ft",
            "path missing|state gradient not carried",
        ),
    ),
    *rows(
        "rows_stacked:rnn_backward",
        ("dh[:, t, :] + dprev_h", "dh[:, t, :]", "state gradient not carried"),
        ("prev_h.T.dot(da)", "next_h.T.dot(da)", "operand of the wrong step"),
        ("dWh += dWh_t", "dWh += dWx_t[:0].sum() + dWh_t * 2", ""),
        ("db += db_t", "db = db_t", "overwritten, not accumulated"),
        ("range(T - 1, -1, -1)", "range(T - 1, 0, -1)", "a step is skipped"),
        ("range(T - 1, -1, -1)", "range(T - 2, -1, -1)", "a step is skipped"),
        ("1 - next_h * next_h", "1 - next_h", "activation derivative"),
        ("da.dot(Wh.T)", "da.dot(Wh)", "not transposed"),
        ("dprev_h = da.dot(Wh.T)", "dprev_h = dnext_h.dot(Wh.T)", "wrong upstream gradient|activation derivative"),
    ),
    *rows(
        "rows_stacked:lstm_step_backward",
        ("dc = dnext_c + dnext_h", "dc = dnext_h", "path missing"),
        ("dc = dnext_c + dnext_h * o * (1 - tanh_c**2)", "dc = dnext_c + dnext_h * o", "activation derivative"),
        ("dc = dnext_c + dnext_h * o * (1 - tanh_c**2)", "dc = dnext_c + dnext_h * (1 - tanh_c**2)", "factor missing"),
        ("dc = dnext_c + dnext_h * o * (1 - tanh_c**2)", "dc = (dnext_c + dnext_h * o) * (1 - tanh_c**2)", ""),
        ("dprev_c = dc * f", "dprev_c = dnext_c * f", "path missing|wrong upstream gradient"),
        ("dprev_c = dc * f", "dprev_c = dc * i", "wrong factor"),
        ("dg = dc * i", "dg = dc * f", "wrong factor"),
        ("(di * i * (1 - i), df * f * (1 - f)", "(df * f * (1 - f), di * i * (1 - i)", "parts in the wrong order"),
        ("dg * (1 - g**2)", "dg * g * (1 - g)", "activation derivative"),
        ("di * i * (1 - i), df * f * (1 - f), do * o * (1 - o)", "di, df, do", "activation derivative"),
        ("da.sum(axis=0)", "da.mean(axis=0)", "averaged instead of summed"),
    ),
    *rows(
        "rows_stacked:lstm_backward",
        ("dh[:, t, :] + dprev_h, dprev_c", "dh[:, t, :] + dprev_h, 0 * dprev_c", "state gradient not carried"),
        ("dh[:, t, :] + dprev_h, dprev_c", "dh[:, t, :], dprev_c", "state gradient not carried"),
        ("df = dc * prev_c", "df = dc * next_c if False else dc * tanh_c", "wrong factor|operand of the wrong step"),
    ),
    *rows(
        "characters:backward",
        ("+ dhnext", "", "state gradient not carried"),
        ("dy[targets[t]] -= 1", "pass", "softmax derivative"),
        ("np.dot(dhraw, hs[t - 1].T)", "np.dot(dhraw, hs[t].T)", "operand of the wrong step"),
        ("np.dot(Whh.T, dhraw)", "np.dot(Whh, dhraw)", "not transposed"),
        ("np.dot(Whh.T, dhraw)", "np.dot(Whh.T, dh)", "wrong upstream gradient|activation derivative"),
        ("dby += dy", "dby = dy", "overwritten, not accumulated"),
        ("(1 - hs[t] * hs[t]) * dh", "dh", "activation derivative"),
        ("dy[targets[t]] -= 1", "dy[targets[t]] -= 1; dy /= len(inputs)", "factor|averaged over the steps"),
        ("dWhy += np.dot(dy, hs[t].T)", "dWhy += np.dot(dy, hs[t - 1].T)", "operand of the wrong step"),
    ),
    *rows(
        "gru_columns:gru_step_backward",
        ("dh_prev = dh * z", "dh_prev = 0", "path missing"),
        ("dh_hat = dh * (1 - z)", "dh_hat = dh * z", "1 − z for z|wrong factor"),
        ("dz = dh * (h_prev - h_hat)", "dz = dh * (h_hat - h_prev)", "sign"),
        ("dz = dh * (h_prev - h_hat)", "dz = dh * h_prev", "path missing"),
        ("dz = dh * (h_prev - h_hat)", "dz = dh * (h_prev + h_hat)", "sign"),
        ("dh_prev = dh_prev + drh * r", "dh_prev = dh_prev + drh", "factor missing"),
        ("dh_prev = dh_prev + drh * r", "pass", "path missing"),
        ("dr = drh * h_prev", "dr = da_h * h_prev", ""),
        ("dr = drh * h_prev", "dr = drh * h_hat", "wrong factor"),
        ("da_h @ (r * h_prev).T", "da_h @ h_prev.T", "wrong factor|factor missing"),
        ('+ p["Ur"].T @ da_r', "", "path missing"),
        ('p["Uh"].T @ da_h', 'p["Uh"] @ da_h', "not transposed"),
        ("da_r = dr * r * (1 - r)", "da_r = dr * (1 - r**2)", "activation derivative"),
    ),
    *rows(
        "gru_columns:gru_sequence_backward",
        ("dhs[t] + dh_next", "dhs[t]", "state gradient not carried"),
        ("dh_prev = dh * z", "dh_prev = dh * (1 - z)", "1 − z for z|wrong factor"),
        ("total.get(name, 0) + g", "g", "overwritten, not accumulated"),
    ),
    *rows(
        "lstm_object:LSTMCell.backward",
        ("dc = dc + dh * o * (1 - tanh_c**2)", "dc = dc + dh * o * (1 - c**2)", "activation derivative"),
        ("da_f = dc * c_prev", "da_f = dc * c", "operand of the wrong step|wrong factor"),
        ("dz[:, :D], dz[:, D:]", "dz[:, :D], dz[:, D:] * 2", "counted twice"),
        ("dz[:, :D], dz[:, D:], dc * f", "dz[:, self.H:], dz[:, :self.H], dc * f", "parts in the wrong order"),
        ("dc * f\n", "dc\n", "factor missing"),
    ),
    *rows(
        "other_manners:Step.backward",
        ("(1 - after * after)", "(1 - after)", "activation derivative"),
        ("before.T @ du", "after.T @ du", "operand of the wrong step|wrong factor"),
        ("du @ Wh.T", "du @ Wh", "not transposed"),
    ),
    *rows(
        "other_manners:Sequence.backward",
        ("dhs[:, t] + back", "dhs[:, t]", "state gradient not carried"),
        ("total[k] + g", "g", "overwritten, not accumulated"),
    ),
    *rows(
        "other_manners:last_output_backward",
        ("dW += da @ states[t - 1].T", "dW += da @ states[t].T", "operand of the wrong step"),
        ("do @ states[-1].T", "do @ states[-2].T", "operand of the wrong step"),
        ("ds = W.T @ da", "ds = W.T @ ds", "wrong upstream gradient|activation derivative"),
        ("range(len(xs), 0, -1)", "range(len(xs), 1, -1)", "a step is skipped"),
        ("db += da", "db = da", "overwritten, not accumulated"),
    ),
    *rows(
        "other_manners:Learner.learn",
        ("ds = self.W.T @ da", "ds = self.W @ da", "not transposed"),
        ("self.states[t - 1].T", "self.states[t].T", "operand of the wrong step"),
    ),
    *rows(
        "other_manners:loss_and_gradients",
        ("dlogits[targets[t]] -= 1", "pass", "softmax derivative"),
        ("dlogits[targets[t]] -= 1", "dlogits[targets[t]] += 1", "softmax derivative|sign"),
        ("+ back", "", "state gradient not carried|path missing"),
        ("np.outer(da, hs[t - 1])", "np.outer(da, hs[t])", "operand of the wrong step"),
    ),
    *rows(
        "other_manners:gates_in_a_loop_backward",
        ('"f": dc * c,', '"f": dc * c_new,', "operand of the wrong step"),
        ("1 - a[k] ** 2 if k", "1 - a[k] if k", "activation derivative"),
        ('"dc": dc * a["f"]', '"dc": dc_new * a["f"]', "path missing|wrong upstream gradient"),
        ('for k in "ifgo")', 'for k in "ifg")', "path missing"),
        ('"o": dh_new * q', '"o": dh_new * c_new', "wrong factor"),
    ),
    *rows(
        "more_manners:with_global_weights_backward",
        ("+ back", "", "state gradient not carried|path missing"),
        ("cache[t] * (1 - cache[t])", "cache[t] * (cache[t] - 1)", "sign|activation derivative"),
        ("weights.b.grad += da", "weights.b.grad = da", "overwritten, not accumulated"),
        ("da @ cache[t - 1].T", "da @ cache[len(xs) - 1].T", "operand of the wrong step"),
        ("weights.W.value.T @ da", "da", "factor missing"),
        ("weights.W.value.T @ da", "dh", "factor missing"),
        ("back = weights.W", "back = back + weights.W", "state gradient accumulated|adds itself"),
        ("weights.U.grad += da @ xs[t].T", "pass", "never computed|is zero"),
    ),
    *rows(
        "more_manners:Layer.backward",
        ("self.Wh -= 0.03", "pass; 0.03", "never computed|is zero"),
        ("self.h_prev.T @ da", "self.h.T @ da", "operand of the wrong step"),
        ("da @ self.Wx.T, da @ self.Wh.T", "da @ self.Wx.T, dh @ self.Wh.T", "wrong upstream gradient|activation derivative"),
    ),
    *rows(
        "more_manners:nested_backward",
        ("da_z = dh * (h_prev - n)", "da_z = dh * (n - h_prev)", "sign"),
        ("dh * z + Uz.T", "dh * (1 - z) + Uz.T", "1 − z for z|wrong factor"),
        ("Uz.T @ da_z + Un.T @ da_n", "Uz.T @ da_z + da_n", "factor missing|wrong factor"),
        ("da_n @ h_prev.T", "da_n @ dh_prev.T", "wrong factor"),
    ),
    *rows(
        "more_manners:last_alone_backward",
        ("back = U.T @ da", "back = U.T @ da + V.T @ dout", "upstream of the wrong step|a term too many"),
        ("da = back * (1 - h[t] ** 2)", "da = back * (1 - h[T - 1] ** 2)", "activation derivative"),
        ("da @ h[t - 1].T", "da @ h[T - 1].T", "operand of the wrong step"),
    ),
]

SAMPLE = covering([{"derivation": mistake.case.id, "names": mistake.kinds} for mistake in MISTAKES], 1)
"""The numbers of so many mistakes that every derivation and every name is among them."""
