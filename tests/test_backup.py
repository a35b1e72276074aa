"""BackupAndRestore: runs that are killed and go on."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphc import callbacks, layers, models, optimizers

X = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
Y = X.sum(1, keepdims=True)
SCRIPT = Path(__file__).parent / "support" / "killed_runs.py"


def test_killed_runs_end_with_the_same_bits(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), str(tmp_path), "14"]
    killed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert int(killed) >= 20  # of 28; the others came after the end
    whole, *others = (np.load(tmp_path / name / "result.npz") for name in ("whole", "epoch", "4"))
    for other in others:
        assert set(other) == set(whole)
        for name in whole:
            np.testing.assert_array_equal(whole[name], other[name])


class Interrupt(callbacks.Callback):
    """Raises an error at a batch of an epoch."""

    def __init__(self, epoch: int, batch: int) -> None:
        super().__init__()
        self.place = epoch, batch

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if (self.epoch, batch) == self.place:
            raise InterruptedError


def made(units: int = 1) -> Any:
    model = models.Sequential([layers.Input((3,)), layers.Dense(units, kernel_initializer="ones")])
    model.compile(optimizers.SGD(0.1, momentum=0.9), "mse")
    model.random_state[0].assign(3)
    return model


def fit(model: Any, *watch: callbacks.Callback, **options: Any) -> Any:
    return model.fit(X, Y, 4, 3, 0, callbacks=list(watch), **options)


def interrupted(folder: Path, epoch: int, batch: int, **options: Any) -> None:
    with pytest.raises(InterruptedError):
        fit(made(), Interrupt(epoch, batch), callbacks.BackupAndRestore(folder, **options))


@pytest.mark.parametrize("place", [(0, 1), (1, 4), (2, 3)])
def test_goes_on_within_an_epoch(tmp_path: Path, place: tuple[int, int]) -> None:
    folder = tmp_path / "new" / "backup"
    interrupted(folder, *place, save_freq=2)
    whole, again = made(), made()
    wanted, got = fit(whole), fit(again, callbacks.BackupAndRestore(folder, save_freq=2))
    assert (got.epoch, got.history) == (wanted.epoch, wanted.history)
    np.testing.assert_array_equal(again.get_weights()[0], whole.get_weights()[0])
    assert not folder.exists()


def test_what_other_callbacks_did_is_kept(tmp_path: Path) -> None:
    def watch() -> list[callbacks.Callback]:
        return [
            callbacks.BackupAndRestore(tmp_path / "backup", save_freq=3),
            callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5),
        ]

    with pytest.raises(InterruptedError):
        fit(made(), *watch(), Interrupt(1, 3))
    wanted = fit(made(), watch()[1]).history
    assert fit(made(), *watch()).history == wanted
    assert wanted["learning_rate"] == pytest.approx([0.05, 0.025, 0.0125])


def test_what_other_callbacks_counted_is_kept(tmp_path: Path) -> None:
    """EarlyStopping stops where it would have, and has the best weights from before."""

    def watch() -> list[callbacks.Callback]:
        values = [3.0, 1.0, 2.0, 2.5, 2.6]
        worse = callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: logs.update(value=values[epoch])
        )
        stop = callbacks.EarlyStopping("value", 0, 2, mode="min", restore_best_weights=True)
        return [callbacks.BackupAndRestore(tmp_path / "backup"), worse, stop]

    def run(model: Any, *more: callbacks.Callback) -> Any:
        return model.fit(X, Y, 4, 5, 0, callbacks=[*watch(), *more]).history

    whole, again = made(), made()
    wanted = run(whole)
    assert wanted["value"] == [3.0, 1.0, 2.0, 2.5]
    for epoch in (0, 3):  # before there is a backup, and when the best epoch is long past
        with pytest.raises(InterruptedError):
            run(made(), Interrupt(epoch, 0))
    assert run(again) == wanted
    np.testing.assert_array_equal(again.get_weights()[0], whole.get_weights()[0])


def test_the_backup_before_the_last(tmp_path: Path) -> None:
    interrupted(tmp_path, 2, 2, double_checkpoint=True)
    latest = tmp_path / "latest.weights.h5"
    latest.write_bytes(latest.read_bytes()[:-1000])
    starts: list[int] = []
    watch = callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: starts.append(epoch))
    again = callbacks.BackupAndRestore(tmp_path, double_checkpoint=True, delete_checkpoint=False)
    history = fit(made(), watch, again).history
    assert starts == [1, 2] and history == fit(made()).history
    assert latest.exists()


def test_another_process_may_take_the_folder_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has ended, and deleted its backup, just when this one was to write its own."""
    folder, model = tmp_path / "backup", made()
    save, taken = model.save_training_state, []

    def late(path: Path, note: dict[str, Any]) -> None:
        if not taken:
            taken.append(path.parent.rmdir())
        save(path, note)

    monkeypatch.setattr(model, "save_training_state", late)
    again = callbacks.BackupAndRestore(folder, delete_checkpoint=False)
    assert fit(model, again).history == fit(made()).history
    assert taken and [path.name for path in folder.iterdir()] == ["latest.weights.h5"]


def test_the_backup_of_another_process_stays(tmp_path: Path) -> None:
    """It has written one after this run's last."""
    latest = tmp_path / "latest.weights.h5"

    def write(logs: Any) -> None:
        content = latest.read_bytes()
        latest.unlink()
        latest.write_bytes(content)

    other = callbacks.LambdaCallback(on_train_end=write)
    fit(made(), other, callbacks.BackupAndRestore(tmp_path))
    assert latest.exists()
    fit(made(), callbacks.BackupAndRestore(tmp_path))
    assert not latest.exists()


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="backup_dir must not be empty"):
        callbacks.BackupAndRestore("")
    with pytest.raises(ValueError, match="BackupAndRestore: save_freq must be 'epoch' or an int"):
        callbacks.BackupAndRestore("x", save_freq=0)
    interrupted(tmp_path, 1, 1)
    wide = made(2)
    with pytest.raises(ValueError, match=r"BackupAndRestore: .*has shape \(3, 2\), got \(3, 1\)"):
        wide.fit(X, X[:, :2], verbose=0, callbacks=callbacks.BackupAndRestore(tmp_path))
    np.testing.assert_array_equal(wide.get_weights()[0], np.ones((3, 2)))
    latest = tmp_path / "latest.weights.h5"
    made().save_weights(latest)
    with pytest.raises(ValueError, match="a file of weights, not of a training run"):
        fit(made(), callbacks.BackupAndRestore(tmp_path))
