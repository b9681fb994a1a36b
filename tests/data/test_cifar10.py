import os
import pickle
import re
import struct

import numpy as np
import pytest
import torch

from expkit.errors import UserError

FILES = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]


def pixels(number):
    return np.random.default_rng(number).integers(0, 256, (20, 3072), dtype=np.uint8)


def labels(number):
    return [(index + number) % 10 for index in range(20)]


def as_python_2_wrote_it(data, classes):
    """{'data': data, 'labels': classes} opcode by opcode, as numpy on Python 2 pickled it with protocol 2."""

    def text(value):
        return b"U" + bytes([len(value)]) + value  # SHORT_BINSTRING

    def number(value):
        return b"J" + struct.pack("<i", value)

    dtype = b"cnumpy\ndtype\n" + text(b"u1") + number(0) + number(1) + b"\x87R"
    dtype += b"(" + number(3) + text(b"|") + b"NNN" + number(-1) + number(-1) + number(0) + b"tb"
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n" + b"cnumpy\nndarray\n" + number(0) + b"\x85" + text(b"b") + b"\x87R"
    )
    content = data.tobytes()
    shape = number(data.shape[0]) + number(data.shape[1]) + b"\x86"
    array += b"(" + number(1) + shape + dtype + b"\x89" + b"T" + struct.pack("<i", len(content)) + content + b"tb"
    listed = b"](" + b"".join(map(number, classes)) + b"e"
    return b"\x80\x02}(" + text(b"data") + array + text(b"labels") + listed + b"u."


def as_python_3_writes_it(data, classes):
    return pickle.dumps({b"data": data, b"labels": classes, b"filenames": [b"a.png"]}, protocol=4)


@pytest.fixture(params=[as_python_2_wrote_it, as_python_3_writes_it])
def folder(request, tmp_path):
    for number, file in enumerate(FILES):
        (tmp_path / file).write_bytes(request.param(pixels(number), labels(number)))
    return tmp_path


@pytest.fixture
def intact(tmp_path):
    for number, file in enumerate(FILES):
        (tmp_path / file).write_bytes(as_python_2_wrote_it(pixels(number), labels(number)))
    return tmp_path


@pytest.fixture
def read(build):
    return lambda folder, **changes: build("cifar10", root=str(folder), **{"batch_size": "full"} | changes).splits


def test_the_handwritten_pickle_is_a_pickle():
    batch = pickle.loads(as_python_2_wrote_it(pixels(0), labels(0)), encoding="bytes")
    assert np.array_equal(batch[b"data"], pixels(0))
    assert batch[b"labels"] == labels(0)


def test_images_and_labels_are_those_written(folder, read):
    splits = read(folder)
    written = np.concatenate([pixels(number) for number in range(5)]).reshape(100, 3, 32, 32)
    assert np.array_equal(np.rint(splits["train"]["input"].numpy() * 255), written)
    assert splits["train"]["target"].tolist() == [label for number in range(5) for label in labels(number)]
    assert np.array_equal(np.rint(splits["test"]["input"].numpy() * 255), pixels(5).reshape(20, 3, 32, 32))
    assert splits["test"]["target"].tolist() == labels(5)


def test_channels_are_standardized_by_all_training_images(intact, read):
    written = np.concatenate([pixels(number) for number in range(5)]).reshape(100, 3, 32, 32) / 255
    mean, std = (of(written, axis=(0, 2, 3)).reshape(3, 1, 1) for of in (np.mean, np.std))
    test = read(intact, standardize=True, n_train=30)["test"]["input"]
    np.testing.assert_allclose(test.numpy(), (pixels(5).reshape(20, 3, 32, 32) / 255 - mean) / std, atol=1e-5)


def test_a_part_is_stratified(intact, read):
    splits = read(intact, n_train=30, n_test=10)
    assert splits["train"]["target"].bincount().tolist() == [3] * 10
    assert splits["test"]["target"].bincount().tolist() == [1] * 10
    assert torch.equal(splits["train"]["input"], read(intact)["train"]["input"][splits["train"]["row"]])


class Runs:
    """Pickles as a call of `function`."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("around", [lambda call: call, lambda call: {b"data": pixels(0), b"labels": [call]}])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the files it opens stay open
@pytest.mark.parametrize("function", ["system", "eval", "open"])
def test_a_malicious_pickle_is_refused_and_nothing_is_run(intact, read, tmp_path, function, around, protocol):
    trace = tmp_path / "trace"
    call = {
        "system": Runs(os.system, f"touch {trace}"),
        "eval": Runs(eval, f"open({str(trace)!r}, 'w')"),
        "open": Runs(open, str(trace), "w"),
    }[function]
    harmful = pickle.dumps(around(call), protocol=protocol)
    pickle.loads(harmful)
    assert trace.exists()  # so it would do harm
    trace.unlink()
    (intact / "data_batch_3").write_bytes(harmful)
    with pytest.raises(UserError, match="it was not run") as caught:
        read(intact)
    assert not trace.exists()
    assert str(intact / "data_batch_3") in str(caught.value)


@pytest.mark.parametrize(
    "name",
    ["numpy\nload", "numpy\nfromfile", "numpy.core.multiarray\nfromstring", "numpy\nndarray.tofile", "os\nsystem"],
)
def test_what_is_refused_is_named(intact, read, name):
    (intact / "test_batch").write_bytes(b"\x80\x02c" + name.encode() + b"\n.")
    with pytest.raises(UserError, match=re.escape(f"asks for {name.replace(chr(10), '.')}")):
        read(intact)


@pytest.mark.parametrize("admitted", ["numpy\nndarray", "numpy\ndtype", "numpy.core.multiarray\n_reconstruct"])
def test_what_is_admitted_cannot_be_changed_by_a_pickle(intact, read, admitted):
    """BUILD sets attributes of whatever is on the stack; here of a class or function that everybody shares."""
    state = b"N}U\x04evilK\x01s\x86"  # (None, {'evil': 1})
    (intact / "test_batch").write_bytes(b"\x80\x02c" + admitted.encode() + b"\n" + state + b"b.")
    with pytest.raises(UserError, match="test_batch"):
        read(intact)
    assert not hasattr(np.ndarray, "evil")
    assert not hasattr(np.dtype, "evil")
    assert not hasattr(np.empty(0).__reduce__()[0], "evil")


DAMAGE = {
    "cut": (lambda content: content[: len(content) // 2], "is not a whole pickle"),
    "empty": (lambda _: b"", "is not a whole pickle"),
    "a web page": (lambda _: b"<html>", "is not a whole pickle"),
    "a list": (lambda _: pickle.dumps([1, 2]), "is not a dictionary"),
    "CIFAR-100": (lambda _: pickle.dumps({b"fine_labels": [1], b"data": b""}), "is not a dictionary with an array"),
    "fewer labels": (lambda _: as_python_2_wrote_it(pixels(0), labels(0)[1:]), "(20, 3072), but for 19 labels"),
    "other images": (lambda _: as_python_2_wrote_it(pixels(0)[:, :784], labels(0)), "(20, 784)"),
    "real numbers": (lambda _: as_python_3_writes_it(pixels(0) / 255, labels(0)), "float64"),
    "a label of 10": (lambda _: as_python_2_wrote_it(pixels(0), [10] * 20), "from 0 to 9"),
    "a label in words": (lambda _: as_python_3_writes_it(pixels(0), ["cat"] * 20), "from 0 to 9"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_named_with_what_is_wrong(intact, read, damage):
    edit, message = DAMAGE[damage]
    path = intact / "data_batch_2"
    path.write_bytes(edit(path.read_bytes()))
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        read(intact)
    assert str(path) in str(caught.value)
    assert "CIFAR page" in str(caught.value)


def test_a_missing_file_and_a_missing_folder_are_told_apart(intact, read):
    (intact / "data_batch_4").unlink()
    with pytest.raises(UserError, match=r"no file data_batch_4 in(?s:.*)CIFAR page"):
        read(intact)
    with pytest.raises(UserError, match=r"data.root=.*nowhere is not a folder(?s:.*)cifar-10-batches-py"):
        read(intact / "nowhere")
