"""Data sets: what is read of digits, archives and CIFAR, and what is refused with which words."""

import gc
import hashlib
import io
import pickle
import re
import tarfile
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from data_inputs import CHECKOUT, archive, arrays, config, error, small
from omegaconf import OmegaConf
from sklearn.datasets import load_digits
from torchvision import datasets

from mixbench.data import load, split

ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")


def silent(line):
    raise AssertionError(f"nothing here takes long, but it said: {line}")


def no_archive(path):
    """The user is told which file is no archive, and how to make one."""
    told = error(read, str(path))
    assert told.startswith(f"{path}: ")
    assert all(word in told for word in ("numpy.savez_compressed", *ARRAYS))


# NumPy leaves a broken zip open until it is collected, and urllib an answer 404; the tests collect it themselves.
leaky = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


# Digits


def test_digits_are_scikit_learns_in_a_fixed_shuffle():
    data, scans = load("digits", "nowhere", None, silent), load_digits()
    assert (data.train_images.shape, data.test_images.shape) == ((1297, 8, 8, 1), (500, 8, 8, 1))
    assert data.train_images.dtype == data.test_images.dtype == np.uint8
    assert (data.train_labels.dtype, data.num_classes) == (np.int64, 10)

    def rows(images, labels):
        return sorted(zip(map(tuple, images.reshape(len(images), 64)), labels.tolist(), strict=True))

    all_images = np.concatenate([data.train_images, data.test_images])
    all_labels = np.concatenate([data.train_labels, data.test_labels])
    grey = all_images.astype(float) * 16 / 255  # the scans have levels 0 to 16
    assert np.abs(grey - grey.round()).max() < 0.04
    assert rows(grey.round().astype(int), all_labels) == rows(scans.images.astype(int), scans.target)
    assert min(np.bincount(data.test_labels)) > 35  # both parts have all digits
    frozen = "61131365583740901edb773ef1aa9e2948a702076c11337335a218242dc228ff"
    assert hashlib.sha256(data.train_images.tobytes()).hexdigest() == frozen


def test_the_normalisation_of_digits_is_that_of_its_training_images():
    yaml = OmegaConf.load(CHECKOUT / "configs" / "dataset" / "digits.yaml")
    scaled = load("digits", "nowhere", None, silent).train_images / 255
    assert list(yaml.mean) == [round(float(scaled.mean()), 4)]
    assert list(yaml.std) == [round(float(scaled.std()), 4)]


def test_an_unknown_source_is_answered_with_the_choices():
    assert "did you mean cifar10?" in error(load, "cifar-10", "data", None, silent)


def read(path, source="npz"):
    return load(source, "nowhere", path, silent)


# Archives


def test_an_archive_is_read_as_it_is(tmp_path):
    expected = arrays()
    data = read(archive(tmp_path))
    for key, array in expected.items():
        assert np.array_equal(getattr(data, key), array)
    assert (data.train_images.dtype, data.train_labels.dtype) == (np.uint8, np.int64)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, ">i8"])
def test_greyscale_without_a_channel_and_labels_in_a_column_are_medmnists_way(tmp_path, dtype):
    grey, labels = small(channels=1), (np.arange(10) % 3).astype(dtype)
    path = archive(
        tmp_path,
        train_images=grey.train_images[..., 0],
        test_images=grey.test_images[..., 0],
        train_labels=labels[:, None],
        test_labels=labels[:4, None],
    )
    data = read(path)
    assert np.array_equal(data.train_images, grey.train_images)
    assert np.array_equal(data.test_images, grey.test_images)
    assert data.train_labels.tolist() == labels.tolist()
    assert data.test_labels.tolist() == labels[:4].tolist()


IMAGES, LABELS = small().train_images, small().train_labels


REFUSED = {
    "missing key": ({"train_labels": None}, ["no train_labels", "train_images, test_images, test_labels"]),
    "float images": ({"train_images": IMAGES * 2.0}, ["train_images is float64", "from 0 to 1", "255"]),
    "float labels": ({"train_labels": LABELS * 1.0}, ["train_labels is float64", "integers"]),
    "text labels": ({"train_labels": LABELS.astype(str)}, ["train_labels is <U21", "integers"]),
    "channels first": (
        {"train_images": IMAGES.transpose(0, 3, 1, 2)},
        ["train_images has shape (10, 3, 8, 9)", "transpose(0, 2, 3, 1)"],
    ),
    "flat images": ({"test_images": IMAGES.reshape(10, -1)[:4]}, ["test_images has shape (4, 216)", "[N, H, W]"]),
    "four channels": ({"train_images": np.zeros((10, 8, 9, 4), np.uint8)}, ["(10, 8, 9, 4)", "C 1 or 3"]),
    "one-hot labels": ({"train_labels": np.eye(3, dtype=int)[LABELS]}, ["train_labels has shape (10, 3)", "[N]"]),
    "fewer labels": ({"train_labels": LABELS[:9]}, ["10 train_images but 9 train_labels"]),
    "more labels": ({"test_labels": LABELS}, ["4 test_images but 10 test_labels"]),
    "negative label": ({"train_labels": LABELS - 1}, ["train_labels has a label -1", "from 0"]),
    "negative test label": ({"test_labels": LABELS[:4] - 1}, ["test_labels has a label -1"]),
    "unknown test label": ({"test_labels": LABELS[:4] + 3}, ["test_labels has the label 3", "no training image"]),
    "too small": ({"train_images": IMAGES[:, :7]}, ["train_images are 7x9", "8x8", "resize"]),
    "alpha channel": ({"train_images": IMAGES[..., [0, 1, 2, 0]]}, ["(10, 8, 9, 4)", "[..., :3]"]),
    "shapes differ": ({"test_images": IMAGES[:4, :, :8]}, ["(8, 9, 3)", "(8, 8, 3)"]),
    "empty": ({"test_images": IMAGES[:0], "test_labels": LABELS[:0]}, ["test_images is empty"]),
    "pickled objects": ({"train_labels": LABELS.astype(object)}, ["train_labels", "Python objects"]),
}


@pytest.mark.parametrize(("changes", "named"), REFUSED.values(), ids=REFUSED)
def test_a_malformed_archive_is_refused_with_its_trouble_named(tmp_path, changes, named):
    path = archive(tmp_path, **changes)
    told = error(read, path)
    assert told.startswith(f"{path}: ")
    for words in named:
        assert words in told


def test_a_pickle_in_an_archive_is_never_run(tmp_path):
    class Bomb:
        def __reduce__(self):
            return Path.touch, (tmp_path / "run",)

    path = archive(tmp_path, train_labels=np.array([Bomb()] * 10))
    assert "Python objects" in error(read, path)
    assert not (tmp_path / "run").exists()


@leaky
def test_what_is_no_archive_is_refused(tmp_path):
    path = tmp_path / "my.npz"
    assert error(read, str(path)).startswith(f"dataset.path={path}: no such file")
    assert re.match(rf"dataset\.path={re.escape(str(tmp_path))}: .*folder.*\.npz", error(read, str(tmp_path)))
    whole = Path(archive(tmp_path)).read_bytes()
    for content in (b"not a zip", b"", whole[: len(whole) // 2]):
        path.write_bytes(content)
        no_archive(path)
    gc.collect()


def test_a_single_array_is_no_archive(tmp_path):
    path = tmp_path / "my.npz"
    with path.open("wb") as file:
        np.save(file, IMAGES)
    no_archive(path)


def test_a_damaged_archive_is_refused(tmp_path):
    path = Path(archive(tmp_path))
    content = bytearray(path.read_bytes())
    name, extra = content[26:28], content[28:30]  # their lengths, in the header of the first member
    content[30 + int.from_bytes(name, "little") + int.from_bytes(extra, "little")] = 7  # a block type that is not one
    path.write_bytes(content)
    told = error(read, str(path))
    assert told.startswith(f"{path}: ")
    assert "readable" in told
    assert "savez_compressed" not in told  # it is an archive, but a broken one


def test_a_zip_of_other_things_under_the_keys_is_refused(tmp_path):
    path = tmp_path / "my.npz"
    with zipfile.ZipFile(path, "w") as file:
        for key in arrays():
            file.writestr(f"{key}.npy", "not an array")
    assert str(path) in error(read, str(path))


def test_cifar_from_an_archive_must_be_the_whole_of_it(tmp_path, numbers):
    path = archive(tmp_path)
    told = error(read, path, "cifar10")
    assert path in told
    assert numbers(told.replace(path, "")) == [10, 50_000]
    assert "dataset=npz" in told  # the remedy
    cut_short = config({"source": "cifar10", "path": "c.npz"})
    key, _, why = error(split, small(), cut_short).partition(": ")
    assert key == "eval=test"
    assert "c.npz" in why
    assert numbers(why) == [4, 10_000]
    assert why.endswith("eval=stratified")  # the remedy
    cut_short.eval = "stratified"
    cut_short.dataset.holdout = 3
    assert len(split(small(), cut_short).eval_images) == 3


# CIFAR's download


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def web(tmp_path, monkeypatch):
    """A folder, and the address at which a server on this machine offers it."""
    folder = tmp_path / "web"
    folder.mkdir()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def publish(web, monkeypatch, kind, key):
    """Put a tiny archive in CIFAR's format on the server, and have torchvision take it for the real one."""
    folder, address = web
    pixels = small(train=25).train_images[:, :1, :1, 0].repeat(3072, axis=1).reshape(25, 3072)
    pixels[:, :3072:1024] += np.arange(3, dtype=np.uint8)  # the top left pixel tells the channels apart
    labels = (np.arange(25) % 10).tolist()
    names = [name for name, _ in kind.train_list + kind.test_list]
    parts = np.array_split(np.arange(25), len(names))
    files = {
        name: {"data": pixels[part], key: [labels[i] for i in part]} for name, part in zip(names, parts, strict=True)
    } | {kind.meta["filename"]: {kind.meta["key"]: [str(k) for k in range(10)]}}
    files = {name: pickle.dumps(content) for name, content in files.items()}
    with tarfile.open(folder / kind.filename, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{kind.base_folder}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))

    def md5(content):
        return hashlib.md5(content, usedforsecurity=False).hexdigest()

    monkeypatch.setattr(kind, "url", f"{address}/{kind.filename}")
    monkeypatch.setattr(kind, "tgz_md5", md5((folder / kind.filename).read_bytes()))
    monkeypatch.setattr(kind, "train_list", [[name, md5(files[name])] for name, _ in kind.train_list])
    monkeypatch.setattr(kind, "test_list", [[name, md5(files[name])] for name, _ in kind.test_list])
    monkeypatch.setattr(kind, "meta", kind.meta | {"md5": md5(files[kind.meta["filename"]])})
    return pixels.reshape(25, 3, 32, 32).transpose(0, 2, 3, 1), labels, len(parts[-1])


@pytest.mark.parametrize(
    ("source", "kind", "key"), [("cifar10", datasets.CIFAR10, "labels"), ("cifar100", datasets.CIFAR100, "fine_labels")]
)
def test_cifar_is_downloaded_once_and_read_in_order(tmp_path, web, monkeypatch, source, kind, key):
    images, labels, test = publish(web, monkeypatch, kind, key)
    said = []
    data = load(source, str(tmp_path / "data"), None, said.append)
    assert np.array_equal(data.train_images, images[:-test])
    assert np.array_equal(data.test_images, images[-test:])
    assert data.train_labels.tolist() == labels[:-test]
    assert data.test_labels.tolist() == labels[-test:]
    assert data.train_images.dtype == np.uint8
    assert data.train_labels.dtype == np.int64
    assert len(said) == 1
    assert kind.url in said[0]
    assert kind.tgz_md5 in said[0]

    (web[0] / kind.filename).unlink()
    by_hand = tmp_path / "by_hand"
    by_hand.mkdir()
    (tmp_path / "data" / kind.filename).rename(by_hand / kind.filename)
    for root in (tmp_path / "data", by_hand):  # the unpacked folder alone, and the archive alone
        again = load(source, str(root), None, silent)
        assert again.sha256("test") == data.sha256("test")


@leaky
@pytest.mark.parametrize("trouble", ["not found", "nobody answers", "cut short"])
def test_a_failed_download_tells_what_to_put_where_by_hand(tmp_path, web, monkeypatch, trouble):
    kind = datasets.CIFAR10
    publish(web, monkeypatch, kind, "labels")
    served = web[0] / kind.filename
    if trouble == "not found":
        served.unlink()
    elif trouble == "nobody answers":
        monkeypatch.setattr(kind, "url", "http://127.0.0.1:9/cifar-10-python.tar.gz")
    else:
        served.write_bytes(served.read_bytes()[:-100])
    root = tmp_path / "data"
    told = error(load, "cifar10", str(root), None, lambda line: None)
    assert all(word in told for word in (kind.filename, kind.tgz_md5, f"{root}/"))
    assert root.exists() == (trouble == "cut short")  # a folder that was made for nothing is gone
    gc.collect()
