"""Ways in which a checkpoint can be damaged, foreign or hostile: by name, what is done to the file.

``BROKEN`` is what happens to files by accident; ``FORGED`` is what somebody does who knows the format and renews the seal.
The file is one of `saved`.
"""

import hashlib
import io
import json
import pickle
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from minigrad import Module, Parameter
from minigrad.checkpoint import save_checkpoint
from minigrad.optim import Adam

Damage = Callable[[Path], Any]
Members = dict[str, bytes]


class Net(Module):
    """A small model with parameters of two kinds and random numbers."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.W = Parameter(self.rng.normal(size=(3, 4)))
        self.b = Parameter(self.rng.normal(size=3), dtype=np.float32)

    def train_once(self, optimizer: Adam) -> None:
        for parameter in self.parameters():
            parameter.grad = self.rng.normal(size=parameter.shape)
        optimizer.step()


def saved(path: Path, seed: int = 0) -> tuple[Net, Adam]:
    """A checkpoint of a model and its optimiser after three updates."""
    model = Net(seed)
    optimizer = Adam(model.parameters(), lr=0.1)
    for _ in range(3):
        model.train_once(optimizer)
    save_checkpoint(path, model, optimizer, notes={"text": "é日\n", "sizes": [3, 4]})
    return model, optimizer


def npy(array: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


def members(file: Path) -> Members:
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def seal(file: Path) -> None:
    """Make the last 64 bytes the checksum of all others, as the writer does."""
    data = file.read_bytes()[:-64]
    file.write_bytes(data + hashlib.sha256(data).hexdigest().encode())


def rewrite(file: Path, content: Members, compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
        archive.comment = b"sha256 " + b"0" * 64
    seal(file)


def bytewise(change: Callable[[bytes], bytes]) -> Damage:
    return lambda file: file.write_bytes(change(file.read_bytes()))


def flipped(place: Callable[[bytes], int]) -> Damage:
    def flip(data: bytes) -> bytes:
        at = place(data) % len(data)
        return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]

    return bytewise(flip)


def with_members(change: Callable[[Members], Members], compression: int = zipfile.ZIP_STORED) -> Damage:
    return lambda file: rewrite(file, change(members(file)), compression)


def replaced(name: str, data: bytes) -> Damage:
    return with_members(lambda content: {**content, name: data})


def with_contents(change: Callable[[Any], Any]) -> Damage:
    def damage(file: Path) -> None:
        content = members(file)
        contents = json.loads(content["contents.json"])
        changed = change(contents)
        rewrite(file, {**content, "contents.json": json.dumps(contents if changed is None else changed).encode()})

    return damage


def with_array(name: str, array: Any) -> Damage:
    """Another array, consistently: contents and member."""

    def damage(file: Path) -> None:
        content = members(file)
        contents = json.loads(content["contents.json"])
        contents["arrays"][name] = [array.dtype.str, list(array.shape)]
        rewrite(file, {**content, "contents.json": json.dumps(contents).encode(), f"{name}.npy": npy(array)})

    return damage


def without_array(name: str) -> Damage:
    def damage(file: Path) -> None:
        content = members(file)
        contents = json.loads(content["contents.json"])
        del contents["arrays"][name], content[f"{name}.npy"]
        rewrite(file, {**content, "contents.json": json.dumps(contents).encode()})

    return damage


def sparse(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.truncate(20 * 2**30)


def sparse_with_the_old_end(file: Path) -> None:
    end = file.read_bytes()[-93:]
    with file.open("r+b") as opened:
        opened.seek(20 * 2**30)
        opened.write(end)


def tar(file: Path) -> None:
    with tarfile.open(file, "w") as archive:
        archive.addfile(tarfile.TarInfo("model/W"))


def savez(file: Path, save: Any, **arrays: Any) -> None:
    with file.open("wb") as opened:
        save(opened, **arrays)


def like_torch(file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"W": [1.0]}))
        archive.writestr("archive/version", "3\n")


def twice(file: Path) -> None:
    content = members(file)
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w") as archive:
        warnings.simplefilter("ignore")
        for name, data in [*content.items(), ("model.W.npy", content["model.W.npy"])]:
            archive.writestr(name, data)
        archive.comment = b"sha256 " + b"0" * 64
    seal(file)


def overlapping(file: Path) -> None:
    """Many entries of the directory for the same bytes: small on disk, large when read."""
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("big.npy", npy(np.zeros(10_000)))
        first = archive.getinfo("big.npy")
        for number in range(1000):
            copy = zipfile.ZipInfo(f"copy{number}.npy")
            copy.header_offset, copy.file_size, copy.compress_size, copy.CRC = 0, first.file_size, first.file_size, first.CRC
            archive.filelist.append(copy)
        archive.comment = b"sha256 " + b"0" * 64
    seal(file)


def encrypted(file: Path) -> None:
    data = bytearray(file.read_bytes())
    for signature, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = data.find(signature)
        while at >= 0:
            data[at + offset] |= 1
            at = data.find(signature, at + 1)
    file.write_bytes(bytes(data))
    seal(file)


def beyond_the_end(file: Path) -> None:
    """The directory says that the first member begins far behind the end of the file."""
    data = bytearray(file.read_bytes())
    at = data.find(b"PK\1\2")
    data[at + 42 : at + 46] = (2**32 - 2).to_bytes(4, "little")
    file.write_bytes(bytes(data))
    seal(file)


def endless_directory(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-93 + 12 : -93 + 16] = (2**31).to_bytes(4, "little")
    file.write_bytes(bytes(data))
    seal(file)


def header(shape: str, dtype: str = "<f8") -> bytes:
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def entry(value: Any) -> Damage:
    return with_contents(lambda contents: contents["arrays"].update({"model.W": value}))


def many_arrays(count: int) -> Damage:
    return with_contents(lambda contents: contents["arrays"].update({f"model.{k}": ["<f8", []] for k in range(count)}))


def random(change: Callable[[Any], Any]) -> Damage:
    return with_contents(lambda contents: change(contents["more"]["random"]))


BROKEN: dict[str, Damage] = {
    "empty": lambda file: file.write_bytes(b""),
    "one byte": lambda file: file.write_bytes(b"P"),
    "text": lambda file: file.write_text("hello\n" * 100),
    "noise": lambda file: file.write_bytes(np.random.default_rng(0).bytes(5000)),
    "zeros": lambda file: file.write_bytes(bytes(5000)),
    "a bare array": lambda file: file.write_bytes(npy(np.zeros((3, 4)))),
    "a pickle": lambda file: file.write_bytes(pickle.dumps({"model.W": [1.0]})),
    "a pickled array of objects": lambda file: file.write_bytes(npy(np.array([None, {}]), allow_pickle=True)),
    "a tar archive": tar,
    "torch's archive": like_torch,
    "somebody's npz": lambda file: savez(file, np.savez, **{"model.W": np.zeros((3, 4)), "model.b": np.zeros(3)}),
    "somebody's compressed npz": lambda file: savez(file, np.savez_compressed, **{"model.W": np.zeros((3, 4))}),
    "somebody's npz of objects": lambda file: savez(file, np.savez, **{"model.W": np.array([None])}),
    "JSON": lambda file: file.write_text('{"format": "minigrad checkpoint", "version": 1}'),
    "cut in the middle": bytewise(lambda data: data[: len(data) // 2]),
    "last byte missing": bytewise(lambda data: data[:-1]),
    "last 64 bytes missing": bytewise(lambda data: data[:-64]),
    "first byte missing": bytewise(lambda data: data[1:]),
    "bytes missing within": bytewise(lambda data: data[: len(data) // 2] + data[len(data) // 2 + 100 :]),
    "bytes added at the end": bytewise(lambda data: data + b"more"),
    "a line break at the end": bytewise(lambda data: data + b"\n"),
    "bytes added at the beginning": bytewise(lambda data: b"#!/bin/sh\n" + data),
    "twice in a row": bytewise(lambda data: data + data),
    "second half zeros": bytewise(lambda data: data[: len(data) // 2] + bytes(len(data) - len(data) // 2)),
    "sent as text": bytewise(lambda data: data.replace(b"\n", b"\r\n")),
    "decoded as text": bytewise(lambda data: data.decode("utf-8", "replace").encode()),
    "a bit in the data": flipped(lambda data: data.find(b"NUMPY") + 130),
    "a bit in an array's header": flipped(lambda data: data.find(b"NUMPY") + 20),
    "a bit in the contents": flipped(lambda data: data.find(b"arrays") + 20),
    "a bit in a member's header": flipped(lambda data: 10),
    "a bit in the directory": flipped(lambda data: data.find(b"PK\1\2") + 12),
    "a bit in the end of the directory": flipped(lambda data: data.find(b"PK\5\6") + 9),
    "a bit in the seal": flipped(lambda data: -5),
    "grown to 20 GiB": sparse,
    "20 GiB with the old end": sparse_with_the_old_end,
}

FORGED: dict[str, Damage] = {
    "compressed": with_members(lambda content: content, zipfile.ZIP_DEFLATED),
    "a bomb": with_members(lambda content: {**content, "model.W.npy": bytes(100_000_000)}, zipfile.ZIP_DEFLATED),
    "a member twice": twice,
    "members that overlap": overlapping,
    "encrypted": encrypted,
    "a member beyond the end": beyond_the_end,
    "a directory without end": endless_directory,
    "no members": lambda file: rewrite(file, {}),
    "no contents": with_members(lambda content: {n: data for n, data in content.items() if n != "contents.json"}),
    "contents that are no JSON": replaced("contents.json", b"{"),
    "contents that are no text": replaced("contents.json", b"\xff\xfe\xfd"),
    "contents nested too deep": replaced("contents.json", b"[" * 100_000),
    "contents that are too large": replaced("contents.json", b" " * (16 * 2**20 + 1)),
    "contents with NaN": replaced("contents.json", b'{"format": NaN}'),
    "contents that are a number": replaced("contents.json", b"7"),
    "contents of another program": with_contents(lambda contents: contents.update(format="something else")),
    "a version from the future": with_contents(lambda contents: contents.update(version=2)),
    "a version that is text": with_contents(lambda contents: contents.update(version="1")),
    "notes that are a list": with_contents(lambda contents: contents.update(notes=[])),
    "no list of arrays": with_contents(lambda contents: contents.pop("arrays") and None),
    "a member missing": with_members(lambda content: {n: data for n, data in content.items() if n != "model.W.npy"}),
    "a member too many": replaced("extra.npy", npy(np.zeros(3))),
    "a member outside the folder": replaced("../../outside.npy", npy(np.zeros(3))),
    "a member that is no array": replaced("model.W.npy", b"hello"),
    "an empty member": replaced("model.W.npy", b""),
    "an array of objects": replaced("model.W.npy", npy(np.array([[None] * 4] * 3), allow_pickle=True)),
    "an array of the other byte order": replaced("model.W.npy", npy(np.ones((3, 4), ">f8"))),
    "a shape unlike the contents": replaced("model.W.npy", npy(np.ones((4, 3)))),
    "a header without data": replaced("model.W.npy", header("(3, 4)")),
    "a huge header without data": replaced("model.W.npy", header("(1000000, 1000000, 1000000)")),
    "a shape that is code": replaced("model.W.npy", header("__import__('os').abort()")),
    "data missing": replaced("model.W.npy", npy(np.ones((3, 4)))[:-1]),
    "data too much": replaced("model.W.npy", npy(np.ones((3, 4))) + b"more"),
    "a huge shape in the contents": entry(["<f8", [10**6, 10**6, 10**6]]),
    "a shape beyond all numbers": entry(["<f8", [2**70]]),
    "a negative shape": entry(["<f8", [-3, -4]]),
    "a shape of fractions": entry(["<f8", [3.0, 4.0]]),
    "a shape of many axes": entry(["<f8", [1] * 1000]),
    "objects in the contents": entry(["|O", [3, 4]]),
    "text in the contents": entry(["<U4", [3, 4]]),
    "records in the contents": entry([[["a", "<f8"]], [3, 4]]),
    "an entry that is a number": entry(7),
    "5 000 arrays in the contents": many_arrays(5_000),
    "100 000 arrays in the contents": many_arrays(100_000),
    "another shape": with_array("model.W", np.ones((4, 3))),
    "another dtype": with_array("model.W", np.ones((3, 4), np.float32)),
    "integers for weights": with_array("model.W", np.ones((3, 4), np.int64)),
    "a parameter too many": with_array("model.c", np.ones(3)),
    "an array of no part": with_array("somebody.c", np.ones(3)),
    "a parameter missing": without_array("model.W"),
    "a weight that is not a number": with_array("model.W", np.full((3, 4), np.nan)),
    "a weight that is infinite": with_array("model.b", np.full(3, np.inf, np.float32)),
    "no parts": with_contents(lambda contents: contents.update(more={})),
    "no optimiser": with_contents(lambda contents: contents["more"]["parts"].clear()),
    "another optimiser": with_contents(lambda contents: contents["more"]["parts"].update(optimizer="AdamW")),
    "an optimiser's mean missing": without_array("optimizer.0.exp_avg"),
    "an optimiser's mean of another shape": with_array("optimizer.0.exp_avg", np.ones(3)),
    "a parameter that the optimiser does not have": with_array("optimizer.7.exp_avg", np.ones(3)),
    "no update counted": with_array("optimizer.0.step", np.asarray(0)),
    "a count of another kind": with_array("optimizer.0.step", np.asarray(3.0)),
    "a negative mean of squares": with_array("optimizer.0.exp_avg_sq", -np.ones((3, 4))),
    "a negative learning rate": with_array("optimizer.lr", np.asarray(-1.0)),
    "a learning rate missing": without_array("optimizer.lr"),
    "no random state": random(lambda states: states.clear()),
    "a random state too many": random(lambda states: states.update(other=states["rng"])),
    "a random state that is text": random(lambda states: states.update(rng="PCG64")),
    "a random state of another generator": random(lambda states: states["rng"].update(bit_generator="MT19937")),
    "a random state beyond its size": random(lambda states: states["rng"]["state"].update(state=2**200)),
    "a random state below zero": random(lambda states: states["rng"]["state"].update(state=-1)),
    "a random state cut off": random(lambda states: states["rng"].pop("state") and None),
    "a random state with more in it": random(lambda states: states["rng"].update(more=1)),
    "a random state of odd arrays": random(lambda states: states["rng"].update(state={"dtype": "O", "values": [1]})),
}
