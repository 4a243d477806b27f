"""NumPy's masked arrays find nothing in a Tensor that they could take for their own: no value leaves its history unseen."""

import inspect
import re

import numpy as np
import pytest

import minigrad as mg
from minigrad import Parameter, Tensor
from minigrad.errors import ConversionError
from minigrad.guard import Array


def needing() -> Tensor:
    return Tensor([0.25, 0.5, 0.75], requires_grad=True)


MASKED: Array = np.ma.array([1.0, 2.0, 3.0], mask=[False, True, False])

def words(text: str) -> list[str]:
    return text.split()


UNARY = words(
    "sqrt exp log log2 log10 sin cos tan arcsin arccos arctan sinh cosh tanh abs absolute negative conjugate angle fabs floor "
    "ceil around logical_not array asarray asanyarray masked_array getdata filled fix_invalid masked_invalid copy ravel "
    "compressed sum prod mean std var min max median average sort argsort cumsum cumprod ptp anom diagflat squeeze "
    "atleast_1d concatenate stack hstack vstack column_stack unique ediff1d"
)
BINARY = words(
    "add subtract multiply divide true_divide power arctan2 hypot maximum minimum equal less greater dot inner outer append "
    "where masked_where masked_equal masked_greater allclose allequal union1d correlate convolve isin"
)


def calls(name: str) -> list[tuple[object, ...]]:
    """The arguments with which a function of np.ma sees a tensor that needs a gradient."""
    if name in ("where", "masked_where"):
        return [([True, False, True], needing(), MASKED)] if name == "where" else [([True, False, True], needing())]
    if name in ("concatenate", "stack", "hstack", "vstack", "column_stack"):
        return [([needing(), MASKED],)]
    return [(needing(),)] if name in UNARY else [(needing(), MASKED), (MASKED, needing()), (needing(), needing())]


def outcome(name: str, arguments: tuple[object, ...]) -> object:
    try:
        return getattr(np.ma, name)(*arguments)
    except (ConversionError, TypeError, ValueError, AttributeError) as refusal:
        return refusal


@pytest.mark.parametrize("name", sorted({*UNARY, *BINARY} & set(dir(np.ma))))
def test_a_function_of_masked_arrays_returns_no_detached_value(name: str) -> None:
    for arguments in calls(name):
        found = outcome(name, arguments)
        assert isinstance(found, Exception) or (isinstance(found, Tensor) and found.requires_grad), (name, found)


@pytest.mark.parametrize("name", ["sqrt", "array", "getdata", "sum", "filled", "add", "dot", "maximum"])
def test_the_usual_ones_say_what_to_do(name: str) -> None:
    with pytest.raises(ConversionError, match="this tensor needs a gradient, which would be lost here"):
        getattr(np.ma, name)(*calls(name)[0])


def test_operators_with_a_masked_array_on_the_left_return_no_detached_value() -> None:
    for operate in (
        lambda m, t: m + t,
        lambda m, t: m * t,
        lambda m, t: m - t,
        lambda m, t: m / t,
        lambda m, t: m**t,
    ):
        with pytest.raises(ConversionError, match="would be lost here"):
            operate(MASKED, needing())


def test_data_got_by_masked_arrays_is_no_way_into_what_backward_needs() -> None:
    w = Parameter([1.0, 2.0, 3.0])
    y = (w * w).sum()
    with pytest.raises(ConversionError):
        np.ma.getdata(w)[:] = 100.0
    constant = Tensor([1.0, 2.0])
    np.ma.getdata(constant)[:] = 100.0
    y.backward()
    np.testing.assert_array_equal(w.grad, [2.0, 4.0, 6.0])
    np.testing.assert_array_equal(constant.numpy(), [1.0, 2.0])


def private_names_that_masked_arrays_look_for() -> set[str]:
    source = inspect.getsource(np.ma.core) + inspect.getsource(np.ma.extras)
    return set(re.findall(r"\.(_[a-z]\w*)", source)) | set(re.findall(r"""attr\(\w+, ['"](_[a-z]\w*)""", source))


def test_no_private_attribute_of_a_tensor_has_a_name_that_masked_arrays_look_for() -> None:
    names = private_names_that_masked_arrays_look_for()
    assert {"_data", "_mask", "_fill_value", "_baseclass"} <= names
    for tensor in (needing(), Tensor([1.0]), Parameter([1.0]), needing() * 2.0, mg.tanh(needing())):
        assert not {name for name in names if hasattr(tensor, name)}


def test_an_attribute_that_masked_arrays_look_for_would_be_noticed() -> None:
    class Unlucky(Tensor):
        __slots__ = ()

        @property
        def _data(self) -> Array:
            return self._array

    unlucky = Unlucky([1.0, 4.0], requires_grad=True)
    assert {name for name in private_names_that_masked_arrays_look_for() if hasattr(unlucky, name)} == {"_data"}
    assert not isinstance(outcome("sqrt", (unlucky,)), Exception | Tensor)
