"""Checkpoints: whole or not there; damage is found, named, and met with the one before."""

import json
import random
import shutil
from collections import namedtuple
from pathlib import Path

import pytest
import torch

from burnish.errors import RunError
from burnish.training import checkpoint
from burnish.training.checkpoint import MANIFEST, STATE, keep_only, latest, name_of, read_checkpoint, save_checkpoint

IDENTITY = {"recipe": "abc"}


def save(root: Path, step: int) -> Path:
    tensors = {"weight/a": torch.full((8, 4), float(step)), "step/a": torch.tensor(float(step))}
    return save_checkpoint(root, step, tensors, identity=IDENTITY, counters={"skipped": []})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    save(tmp_path, 5)
    save(tmp_path, 10)
    return tmp_path


def test_the_latest_is_the_one_with_the_most_steps(root: Path) -> None:
    save(root, 999_999)
    save(root, 1_000_000)  # more digits than the names are padded to
    found, warnings = latest(root)
    assert found is not None
    assert (found.step, warnings) == (1_000_000, [])
    assert torch.equal(found.tensors()["weight/a"], torch.full((8, 4), 1_000_000.0))
    assert (found.identity, found.counters) == (IDENTITY, {"skipped": []})


@pytest.mark.parametrize("file", [STATE, MANIFEST])
@pytest.mark.parametrize("left", ["nothing", "a byte", "half", "all but one"])
def test_a_truncated_file_is_found_and_the_one_before_is_taken(root: Path, file: str, left: str) -> None:
    path = root / name_of(10) / file
    content = path.read_bytes()
    path.write_bytes(content[: {"nothing": 0, "a byte": 1, "half": len(content) // 2, "all but one": -1}[left]])
    if file == MANIFEST and left == "all but one":
        assert content.endswith(b"\n")
        path.write_bytes(content[:-2])  # the last byte is a line break, without which JSON is whole
    found, warnings = latest(root)
    assert found is not None
    assert found.step == 5
    assert len(warnings) == 1
    assert name_of(10) in warnings[0]
    assert "going back" in warnings[0]


@pytest.mark.parametrize("file", [STATE, MANIFEST])
def test_every_flipped_bit_is_found(root: Path, file: str) -> None:
    path = root / name_of(10) / file
    content, draw = path.read_bytes(), random.Random(0)
    before = json.loads((root / name_of(10) / MANIFEST).read_text())
    for _ in range(100):
        damaged = bytearray(content)
        place = draw.randrange(len(damaged))
        damaged[place] ^= 1 << draw.randrange(8)
        path.write_bytes(bytes(damaged))
        try:
            read_checkpoint(path.parent)
        except RunError:
            continue
        # only white space between the fields may change without changing what the manifest says
        assert file == MANIFEST
        assert json.loads(path.read_text()) == before


def test_a_missing_state_is_found(root: Path) -> None:
    (root / name_of(10) / STATE).unlink()
    found, warnings = latest(root)
    assert found is not None
    assert found.step == 5
    assert "missing or damaged" in warnings[0]


def test_where_all_are_damaged_there_is_none(root: Path) -> None:
    for step in (5, 10):
        (root / name_of(step) / MANIFEST).write_text("{}")
    assert latest(root)[0] is None
    assert len(latest(root)[1]) == 2


def test_a_checkpoint_of_another_format_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "FORMAT", 2)
    with pytest.raises(RunError, match="format 1, this burnish reads 2"):
        read_checkpoint(root / name_of(10))


def test_what_a_crash_left_is_no_checkpoint_and_is_swept_away(root: Path) -> None:
    left = root / ".tmp-0123"
    shutil.copytree(root / name_of(10), left)
    found, warnings = latest(root)
    assert found is not None
    assert (found.step, warnings) == (10, [])
    save(root, 15)
    assert not left.exists()


def test_a_full_disk_stops_before_anything_is_written(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", ["total", "used", "free"])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(100, 90, 10))
    with pytest.raises(RunError, match="disk_full: 10 bytes free"):
        save(root, 15)
    assert sorted(path.name for path in root.iterdir()) == [name_of(5), name_of(10)]


def test_saving_a_step_again_replaces_it(root: Path) -> None:
    save_checkpoint(root, 10, {"weight/a": torch.zeros(2)}, identity={}, counters={})
    found, _ = latest(root)
    assert found is not None
    assert found.tensors()["weight/a"].shape == (2,)


def test_only_what_is_asked_for_is_kept(root: Path) -> None:
    save(root, 15)
    keep_only(root, {5, 15})
    assert sorted(path.name for path in root.iterdir()) == [name_of(5), name_of(15)]
