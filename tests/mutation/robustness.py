"""Mistakes in what holds under fire: the writer of files, checkpoints that were tampered with, locks, circles, interrupts."""

from mutation.engine import rows

MUTANTS = [
    *rows(
        "files",
        ("a link is replaced by a file", "def replace_file", "Path(os.path.realpath(path))", "Path(path)"),
        ("a device is replaced by a file", "def _replaceable", "not stat.S_ISREG(found.st_mode)", "False"),
        ("a write-protected file is replaced", "def _replaceable", "not os.access", "False and not os.access"),
        (
            "what cannot be kept is given up without a word",
            "def _hand_on",
            "            raise OSError(errno.EPERM, reason) from None\n",
            "            return\n",
        ),
        ("the mode of a file is lost", "def _hand_on", "    part.chmod(stat.S_IMODE(found.st_mode))\n", ""),
        ("the owner of a file is lost", "def _hand_on", "os.chown(part, found.st_uid, found.st_gid)", "part.stat()"),
        ("a private file can be read while it is written", "def replace_file", "else 0o600", "else 0o666"),
        ("a new file is private", "def replace_file", "0o666 if", "0o600 if"),
        ("what killed writers left stays", "def _remove_left_behind", " part.unlink()", " pass"),
        ("a pipe is waited for", "def _remove_left_behind", "not stat.S_ISREG(part.lstat().st_mode)", "False"),
        ("the part of a living writer is removed", "def _locked", "        fcntl.flock(file, fcntl.LOCK_EX)\n", ""),
        ("a part that is gone is written to", "def _locked", "if os.fstat(file.fileno()).st_nlink:", "if True:"),
        ("what other writers left is removed too", "def _remove_left_behind", 'f"{mark}*.part"', '".minigrad-*.part"'),
        ("after an error the part stays", "def replace_file", "        part.unlink(missing_ok=True)\n", "        pass\n"),
    ),
    *rows(
        "reporting",
        (
            "an interrupted computation leaves its reports on",
            "def within",
            "    return context.run(function, *arguments, **keywords)\n",
            "    with np.errstate(**errors):\n        return function(*arguments, **keywords)\n",
        ),
        (
            "an interrupted block leaves its reports on",
            "class reporting",
            "            self.leave(found)\n            raise",
            "            raise",
        ),
    ),
    *rows(
        "checkpoint/whole",
        ("an interrupt leaves half a checkpoint loaded", "def load_checkpoint", "_become(model, wanted, *before)", "pass"),
    ),
    *rows(
        "clipping",
        (
            "an interrupt can divide clipping",
            "def clip_grad_norm_",
            "set_all_items([(g, ..., within(calm, np.multiply, g, factor)) for g in gradients])",
            "set_all_items((g, ..., within(calm, np.multiply, g, factor)) for g in gradients)",
        ),
    ),
    *rows(
        "checkpoint/npz",
        (
            "an interrupt becomes an error of the archive",
            "def write_npz",
            "        archive.fp = None  # to complete what is thrown away would only hide why\n",
            "        archive.close()\n",
        ),
        (
            "an array in Fortran's order is read in C's",
            "class Npz",
            "flat.reshape(kind.shape, order=order)",
            "flat.reshape(kind.shape)",
        ),
        (
            "an array in Fortran's order is refused",
            "class Npz",
            'orders: tuple[Literal["C", "F"], ...] = "C", "F"',
            'orders: tuple[Literal["C", "F"], ...] = ("C",)',
        ),
        (
            "arrays of an unsealed file are not named",
            "class Npz",
            "return None if sealed else unsealed",
            "raise ValueError(unsealed)",
        ),
        ("contents are unpacked", "class Npz", " or member.compress_type:", ":"),
        ("an unsealed file is as good as a sealed one", "class Npz", "return None if sealed else unsealed", "return None"),
    ),
    *rows(
        "checkpoint/files",
        (
            "notes of a file with a flaw are given out",
            "class Opened",
            "        self.refuse_flaw()\n        return self.contents.notes\n",
            "        return self.contents.notes\n",
        ),
        (
            "arrays of a file with a flaw are given out",
            "class Opened",
            "        self.refuse(problems)\n        self.refuse_flaw()\n",
            "        self.refuse(problems)\n",
        ),
        (
            "the flaw of a file is not told with its arrays",
            "class Opened",
            "[*filter(None, [self._container.flaw]), *shown]",
            "shown",
        ),
        (
            "what a file holds is not seen when it says nothing",
            "class Opened",
            "Contents(self._container.kinds(), {}, {})",
            "Contents({}, {}, {})",
        ),
        ("anything counts as notes", "def write", "if not isinstance(given, Mapping):", "if False:"),
    ),
    *rows(
        "checkpoint/contents",
        ("lists are taken for arrays", "def kinds_of", "not isinstance(array, np.ndarray | np.generic) or ", ""),
        ("masks are lost", "def kinds_of", " or isinstance(array, np.ma.MaskedArray | np.matrix)", ""),
        ("a name may be endless", "def kinds_of", "len(name.encode()) > _LONGEST_NAME", "False"),
    ),
    *rows(
        "locks",
        ("forks do not wait for locks", "def lock", 'hasattr(os, "register_at_fork")', "False"),
        ("the child's locks stay taken", "def lock", ", after_in_child=made.release", ""),
    ),
    *rows(
        "backward",
        (
            "a circle is followed for ever",
            "def sweep_arrays",
            "            if serial >= newest:\n                raise cycle(node, source)\n",
            "            if serial >= newest:\n                return found, passed\n",
        ),
    ),
    *rows(
        "graph",
        (
            "a circle is walked",
            "def ancestors",
            "                    raise cycle(node, source)\n",
            "                    continue\n",
        ),
        (
            "a circle is swept",
            "def sweep",
            "                        raise cycle(node, source)\n",
            "                        return\n",
        ),
    ),
    *rows(
        "module",
        (
            "an interrupt can divide the loading",
            "class Module",
            'set_all([(parameter, "_array", arrays[name]) for name, parameter in own.items()])',
            'set_all((parameter, "_array", arrays[name]) for name, parameter in own.items())',
        ),
        ("anything is loaded", "class Module", "if not isinstance(state, Mapping):", "if False:"),
        (
            "an interrupt can divide the change of modes",
            "class Module",
            'set_all([(module, "training", mode) for module in self.modules()])',
            'set_all((module, "training", mode) for module in self.modules())',
        ),
    ),
    *rows(
        "arguments",
        ("any seed is a seed", "def count", "or not least <= value <= most", ""),
        ("True is a number of something", "def count", "isinstance(value, bool) or ", ""),
        ("NaN is a tolerance", "def real", "if found >= least:", "if not found < least:"),
        ("what is no name is looked for among names", "def named_one_of", "not isinstance(value, str) or ", ""),
        ("anything is a text", "def text", "if not isinstance(value, str):", "if False:"),
        ("what cannot be gone through is", "def several", "except TypeError:", "except LookupError:"),
        ("arrays beyond memory are NumPy's to refuse", "def fitting_memory", "(MemoryError, ValueError)", "MemoryError"),
    ),
    *rows(
        "guard",
        ("a list that holds itself is gone through", "def entering", "except RecursionError:", "except LookupError:"),
        ("ragged lists are NumPy's to refuse", "def array_of", "except ValueError:", "except LookupError:"),
    ),
    *rows(
        "pytree",
        ("a nest that holds itself is gone through", "def _named_ends_of", "except RecursionError:", "except LookupError:"),
    ),
    *rows(
        "models/training/log",
        ("a log may hold no NaN", "class Log", ".view(np.int64)", ".astype(np.int64)"),
        ("half a column is loaded", "class Log", "elif other not in saved:", "elif False:"),
        ("columns of different lengths are loaded", "class Log", "elif saved[other].shape != found.shape:", "elif False:"),
        ("updates before the first are loaded", "class Log", "(array < 0) | ", ""),
    ),
    *rows(
        "models/language",
        ("masked targets count", "class LanguageModel", "mask=steps_that_count(", "mask=None and steps_that_count("),
        ("what stands under the mask is looked up", "class LanguageModel", "np.where(valid, given, 0)", "given"),
        ("masked symbols are read", "class LanguageModel", "hoist, mask=valid)", "hoist)"),
        ("masked symbols are read by layers", "class LanguageModel", "state, mask=valid, hoist", "state, hoist"),
    ),
    *rows(
        "models/training/trainer",
        ("the log is not saved", "class Trainer", ', "log": self.log', ""),
    ),
    *rows(
        "python_object",
        ("a trace does not end where values are looked for", "class PythonObject", '        reading(self, "in")\n', ""),
        (
            "a trace does not end where tensors are compared with themselves",
            "class PythonObject",
            '        reading(self, "bool()")  # first: where a tensor is compared with itself, Python does not ask at all\n',
            "",
        ),
    ),
    *rows(
        "operators",
        ("a trace does not end where tensors are told apart", "class Operators", '        reading(self, "hash()")\n', ""),
    ),
    *rows(
        "tensor",
        (
            "an interrupt can divide the forgetting of gradients",
            "def forget_gradients",
            'set_all([(keeper, "grad", None) for keeper in keepers])',
            'set_all((keeper, "grad", None) for keeper in keepers)',
        ),
    ),
]
