"""Saving and loading so that a damaged, foreign or hostile file can never do harm.

| function | what |
| --- | --- |
| `save_checkpoint`, `load_checkpoint` | a model, and what its training needs to go on bit for bit |
| `save_arrays`, `load_arrays`, `load_notes` | arrays by name, and notes that JSON can hold |

A file whose name ends in ``.safetensors`` is written and read with the safetensors package, an optional extra; any other
is an ``.npz`` archive that ``np.load`` opens too. There is no pickle in either. A file is written under another name
beside its place and then renamed, so that there is never half of one. On loading, every name, shape, dtype and size is
checked before any data is read, a checksum before it is used, and all problems are told in one `CheckpointError`; until
then nothing is touched.
"""

from minigrad.checkpoint.files import load_arrays, load_notes, save_arrays
from minigrad.checkpoint.whole import Part, below, load_checkpoint, save_checkpoint
from minigrad.errors import CheckpointError

__all__ = [
    "CheckpointError",
    "Part",
    "below",
    "load_arrays",
    "load_checkpoint",
    "load_notes",
    "save_arrays",
    "save_checkpoint",
]
