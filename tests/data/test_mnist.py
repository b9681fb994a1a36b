import gzip
import re
import struct

import numpy as np
import pytest
import torch

from expkit.errors import UserError

IMAGES = {"train": np.arange(50 * 784).reshape(50, 28, 28) % 251, "t10k": np.arange(20 * 784).reshape(20, 28, 28) % 241}
LABELS = {"train": np.arange(50) % 10, "t10k": np.arange(20) % 10}


def idx(values, type_code=0x08):
    header = struct.pack(f">BBBB{values.ndim}I", 0, 0, type_code, values.ndim, *values.shape)
    return header + values.astype(np.uint8).tobytes()


@pytest.fixture
def folder(tmp_path):
    for part in ("train", "t10k"):
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(idx(IMAGES[part]))
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(idx(LABELS[part]))
    return tmp_path


@pytest.fixture
def read(build):
    return lambda folder, **changes: build("mnist", root=str(folder), **{"batch_size": "full"} | changes).splits


def test_images_and_labels_are_those_written(folder, read):
    for split, part in zip(read(folder).values(), ("train", "t10k"), strict=True):
        assert np.array_equal(np.rint(split["input"][:, 0].numpy() * 255), IMAGES[part])
        assert split["target"].tolist() == LABELS[part].tolist()
        assert split["input"].shape[1:] == (1, 28, 28)


def test_compressed_files_are_read_alike(folder, read):
    plain = read(folder)
    for path in list(folder.iterdir()):
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    for name, split in read(folder).items():
        assert torch.equal(split["input"], plain[name]["input"])
        assert torch.equal(split["target"], plain[name]["target"])


def test_a_part_is_stratified_and_leaves_the_test_split_alone(folder, read):
    whole, part = read(folder, n_test=10), read(folder, n_test=10, n_train=20)
    assert part["train"]["target"].bincount().tolist() == [2] * 10
    assert torch.equal(part["train"]["input"], whole["train"]["input"][part["train"]["row"]])
    assert torch.equal(part["test"]["row"], whole["test"]["row"])
    assert part["test"]["target"].bincount().tolist() == [1] * 10
    assert not torch.equal(part["train"]["row"], read(folder, seed=1, n_train=20)["train"]["row"])


def test_standardization_uses_all_training_images(folder, read):
    pixels = IMAGES["train"] / 255
    for n_train in (None, 20):
        test = read(folder, standardize=True, n_train=n_train)["test"]["input"][:, 0]
        expected = (IMAGES["t10k"] / 255 - pixels.mean()) / pixels.std()
        np.testing.assert_allclose(test.numpy(), expected, atol=1e-5)


def change(path, edit):
    path.write_bytes(edit(path.read_bytes()))


DAMAGE = {
    "images in the place of labels": (
        "train-labels-idx1-ubyte",
        lambda _: idx(IMAGES["train"]),
        "starts with 00 00 08 03, but such a file starts with 00 00 08 01",
    ),
    "another element type": (
        "train-images-idx3-ubyte",
        lambda _: idx(IMAGES["train"], type_code=0x0D),
        "starts with 00 00 0d 03",
    ),
    "a web page": ("t10k-images-idx3-ubyte", lambda _: b"<html>not found</html>", "starts with 3c 68 74 6d"),
    "nothing": ("t10k-images-idx3-ubyte", lambda _: b"", "starts with , but"),
    "an end within the header": ("t10k-images-idx3-ubyte", lambda content: content[:9], "ends after 9 bytes"),
    "an end within the pixels": (
        "train-images-idx3-ubyte",
        lambda content: content[:-1],
        f"has {16 + 50 * 784 - 1} bytes, but its header announces {16 + 50 * 784} (shape [50, 28, 28])",
    ),
    "bytes too many": ("train-labels-idx1-ubyte", lambda content: content + b"\0", "has 59 bytes"),
    "no images": ("train-images-idx3-ubyte", lambda _: idx(np.zeros((0, 28, 28))), "holds nothing"),
    "a label too few": ("t10k-labels-idx1-ubyte", lambda _: idx(LABELS["t10k"][1:]), "holds 19 labels"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_named_with_what_is_wrong(folder, read, damage):
    file, edit, message = DAMAGE[damage]
    change(folder / file, edit)
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        read(folder)
    assert str(folder / file) in str(caught.value)
    assert "Zalando Research" in str(caught.value)


@pytest.mark.parametrize(
    "edit", [lambda content: content[:-20], lambda content: content[:50] + b"\xff" * 400, bytes.upper]
)
def test_a_damaged_compressed_file_is_named(folder, read, edit):
    path = folder / "train-images-idx3-ubyte"
    compressed = folder / "train-images-idx3-ubyte.gz"
    compressed.write_bytes(edit(gzip.compress(path.read_bytes())))
    path.unlink()
    with pytest.raises(UserError, match="not a whole gzip file") as caught:
        read(folder)
    assert str(compressed) in str(caught.value)


def test_a_missing_file_and_a_missing_folder_are_told_apart(folder, read):
    (folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(UserError, match=r"no file t10k-labels-idx1-ubyte or t10k-labels-idx1-ubyte.gz in"):
        read(folder)
    with pytest.raises(UserError, match=r"data.root=.*nowhere is not a folder(?s:.*)train-images-idx3-ubyte"):
        read(folder / "nowhere")


def test_images_of_another_size_are_refused(folder, read):
    change(folder / "train-images-idx3-ubyte", lambda _: idx(np.zeros((50, 14, 14))))
    with pytest.raises(UserError, match=r"\[1, 14, 14\]"):
        read(folder)


def test_more_images_than_there_are(folder, read):
    with pytest.raises(UserError, match=r"data.n_test=21, but there are 20"):
        read(folder, n_test=21)
