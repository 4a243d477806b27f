"""What does the second layer of a deep RNN read, and what is the output of a bidirectional one?

    deep:           h_t^[2] = step^[2](h_t^[1], h_{t−1}^[2])          the states of the layer below, at the same t (C4)
    bidirectional:  y_t = [h_t→, h_t←],   h_t← = step←(x_t, h_{t+1}←)

Both are put together by hand from single cells and compared with the library's layers.
"""

from pathlib import Path

import numpy as np
from lesson import output_folder
from minigrad.models import RNN, unroll
from minigrad.models.layers import RecurrentLayers
from minigrad.viz import draw

from minigrad import concatenate, stack


def main(folder: Path) -> None:
    """Print shapes and largest differences."""
    T, B, D, H = 6, 2, 3, 4
    xs = np.random.default_rng(0).normal(size=(T, B, D))
    first, second, backwards = RNN(D, H, seed=1), RNN(H, H, seed=2), RNN(D, H, seed=3)

    deep, finals = RecurrentLayers([first, second])(xs)
    h1, h1_T = unroll(first, xs)
    h2, h2_T = unroll(second, h1)
    off_deep = float(np.abs(deep.numpy() - h2.numpy()).max())
    off_finals = float(np.abs(finals.numpy() - stack([h1_T, h2_T]).numpy()).max())
    print(f"deep: outputs {deep.shape} are the states of layer 2, largest difference {off_deep:.1e}")
    print(f"deep: final states {finals.shape} are h_6^[1] and h_6^[2], largest difference {off_finals:.1e}")

    both, _ = RecurrentLayers([(first, backwards)])(xs)
    turned, _ = unroll(backwards, xs[::-1])
    side_by_side = concatenate([h1, turned[::-1]], axis=-1)
    off_both = float(np.abs(both.numpy() - side_by_side.numpy()).max())
    print(f"bidirectional: outputs {both.shape}: H of each direction side by side, largest difference {off_both:.1e}")

    layers = RecurrentLayers("lstm", D, H, num_layers=3, bidirectional=True, seed=0)
    ys, state = layers(xs)
    print(f"an LSTM with 3 layers in both directions: outputs {ys.shape}, final c and h {state.c.shape}")

    print(
        f"Answer: layer 2 reads the states of layer 1, step by step; a bidirectional output is [h_t→, h_t←], {both.shape[2]} "
        f"numbers for H = {H}. By hand and by the library they are equal ({max(off_deep, off_finals, off_both) < 1e-13})."
    )

    deep, _ = RecurrentLayers([first, second])(xs[:4], hoist=False)
    draw(deep[3].sum(), title="A deep RNN: two layers").save(folder / "c4_deep.svg")
    both, _ = RecurrentLayers([(first, backwards)])(xs[:4], hoist=False)
    draw(both[1].sum(), title="A bidirectional RNN: the output of step 2").save(folder / "c4_bidirectional.svg")


if __name__ == "__main__":
    main(output_folder())
