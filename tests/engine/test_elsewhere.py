"""Names of other frameworks are answered with what to write here; what Python itself says names the class people know."""

import copy
import importlib
import pickle

import numpy as np
import pytest

import minigrad as mg
from minigrad import Parameter, Tensor
from minigrad.elsewhere import _MODULE, _TENSOR

X = Tensor(np.ones((2, 3)), requires_grad=True)


@pytest.mark.parametrize("name", _TENSOR)
def test_a_method_of_torchs_tensors_says_what_to_write(name: str) -> None:
    with pytest.raises(AttributeError, match=rf"^'Tensor' object has no attribute '{name}'; \w"):
        getattr(X, name)
    with pytest.raises(AttributeError, match=rf"^'Parameter' object has no attribute '{name}'; \w"):
        getattr(Parameter([1.0]), name)


@pytest.mark.parametrize("name", [*_MODULE, "LSTM", "fit", "draw", "Adam"])
def test_a_name_of_another_framework_says_where_to_look(name: str) -> None:
    with pytest.raises(AttributeError, match=rf"^module 'minigrad' has no attribute '{name}'; \w"):
        getattr(mg, name)


def test_other_names_are_missing_as_anywhere() -> None:
    for owner, name in ((X, "nothing_of_the_kind"), (X, "__cuda_array_interface__"), (X, "_private_"), (mg, "__path_of__")):
        assert not hasattr(owner, name)
        with pytest.raises(AttributeError, match=f"has no attribute '{name}'$"):
            getattr(owner, name)


def test_what_is_elsewhere_is_not_listed_and_slows_down_no_attribute_that_is_here() -> None:
    assert not set(_TENSOR) & set(dir(X))
    assert not hasattr(Tensor, "cuda")
    assert not any("__getattr__" in vars(kind) or "__getattribute__" in vars(kind) for kind in Tensor.__mro__[:-1])


def test_a_tensor_is_copied_and_pickled_as_before() -> None:
    for twin in (copy.copy(X), copy.deepcopy(X), pickle.loads(pickle.dumps(X))):
        assert (twin.shape, twin.requires_grad) == ((2, 3), True)


def test_a_wrong_call_of_a_method_names_the_tensor() -> None:
    with pytest.raises(TypeError, match=r"^Tensor\.sum\(\) got an unexpected keyword argument 'dim'"):
        X.sum(dim=0)
    with pytest.raises(TypeError, match=r"^Tensor\.__getitem__\(\)"):
        X.__getitem__()


@pytest.mark.parametrize("floor", ["minigrad", "minigrad.models", "minigrad.viz"])
def test_dir_shows_what_is_for_users_and_all_of_it_is_there(floor: str) -> None:
    module = importlib.import_module(floor)
    shown = dir(module)
    assert set(shown) >= set(module.__all__)
    assert len(shown) == len(set(shown))
    for name in shown:
        assert hasattr(module, name) or importlib.import_module(f"{floor}.{name}")
    assert not {"tracebacks", "hide_frames", "states", "checks" if floor != "minigrad" else "tensor", "marks"} & set(shown)
