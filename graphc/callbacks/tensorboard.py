"""Writing what TensorBoard shows."""

from __future__ import annotations

import os
import time
import warnings
from typing import Any

import numpy as np

from .callback import Callback, Logs
from .event_file import EventFile

_DRAWN = ("Model", "Sequential")  # not models of a class of the user's own
_IMAGES = 3  # of a weight, as many as Keras writes


class TensorBoard(Callback):
    """Writes event files that TensorBoard reads: `tensorboard --logdir logs` (Keras's).

    Into `log_dir`/train go, for each epoch, "epoch_<name>" of the losses and metrics and
    "epoch_learning_rate", and into `log_dir`/validation those of the validation, also as
    "evaluation_<name>_vs_iterations" by the number of training steps.

    Args:
        log_dir: folder of the files; "logs" by default.
        histogram_freq: writes a histogram of each weight, "<layer>/<weight>/histogram", every so
            many epochs; 0 (default) writes none.
        write_graph: writes the configuration of a `Model` or `Sequential`, which TensorBoard draws
            as a graph of its layers, by the tag "keras"; True by default.
        write_images: with the histograms, writes the weights as images, "<layer>/<weight>/image":
            a black point for 0 and less, a white one for 1 and more.
        write_steps_per_second: whether to write "epoch_steps_per_second", and with `update_freq`
            "batch_steps_per_second".
        update_freq: "batch", or every so many batches: writes "batch_<name>" of the means so far,
            which costs a return to Python for each step; "epoch" (default) does not. (With a number
            Keras leaves out what belongs to epochs that do not end with such a batch.)
        profile_batch, embeddings_freq, embeddings_metadata: are not there. `model.dump` and
            `save_weights` are.

    Raises:
        ValueError: for another `update_freq`, and for the arguments that are not there.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: str | int = "epoch",
        profile_batch: int | tuple[int, int] = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: object = None,
    ) -> None:
        super().__init__()
        if profile_batch or embeddings_freq or embeddings_metadata:
            raise ValueError(
                "TensorBoard: profile_batch, embeddings_freq and embeddings_metadata are not "
                "supported; leave them out"
            )
        every = 1 if update_freq == "batch" else update_freq
        if every != "epoch" and (not isinstance(every, int) or every < 1):
            raise ValueError(
                "TensorBoard: update_freq must be 'batch', 'epoch' or an int of at least 1, got "
                f"{update_freq!r}"
            )
        self.log_dir = os.fspath(log_dir)
        self.histogram_freq = histogram_freq
        self.write_graph = write_graph
        self.write_images = write_images
        self.write_steps_per_second = write_steps_per_second
        self.update_freq = every
        self._files: dict[str, EventFile] = {}
        self._batches = 0
        if every != "epoch":  # else no batch has to come back to Python
            self.on_train_batch_begin = self._begin_batch  # type: ignore[method-assign]
            self.on_train_batch_end = self._end_batch  # type: ignore[method-assign]

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        if self.write_graph and type(model).__name__ in _DRAWN:
            self._write_configuration()

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._batches = 0

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch_start = time.perf_counter(), self._iterations()

    def _begin_batch(self, batch: int, logs: Logs | None = None) -> None:
        self._batches += 1
        self._batch_start = time.perf_counter()

    def _end_batch(self, batch: int, logs: Logs | None = None) -> None:
        assert isinstance(self.update_freq, int)
        if self._batches % self.update_freq:
            return
        values = dict(logs or {})
        if self.write_steps_per_second:
            values["steps_per_second"] = 1 / (time.perf_counter() - self._batch_start)
        self._scalars("train", "batch_{}", values, self._batches)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        logs = logs or {}
        training = {name: logs[name] for name in logs if not name.startswith("val_")}
        training["learning_rate"] = float(self.model.optimizer.learning_rate)
        if self.write_steps_per_second:
            start, before = self._epoch_start
            steps = self._iterations() - before
            training["steps_per_second"] = steps / (time.perf_counter() - start)
        self._scalars("train", "epoch_{}", training, epoch)
        held_out = {name[4:]: logs[name] for name in logs if name.startswith("val_")}
        self._scalars("validation", "epoch_{}", held_out, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            self._write_weights(epoch)
        for file in self._files.values():
            file.flush()

    def on_test_end(self, logs: Logs | None = None) -> None:
        step = self._iterations()
        self._scalars("validation", "evaluation_{}_vs_iterations", logs or {}, step)

    def on_train_end(self, logs: Logs | None = None) -> None:
        self.on_close()

    def on_close(self) -> None:
        for file in self._files.values():
            file.close()
        self._files = {}

    def _write_configuration(self) -> None:
        try:
            configuration = self.model.to_json()
        except (TypeError, ValueError) as error:  # a layer made of a lambda, for example
            warnings.warn(f"TensorBoard: the model has no graph to write: {error}", stacklevel=2)
            return
        self._file("train").keras_model("keras", configuration, 0)

    def _iterations(self) -> int:
        iterations = self.model.optimizer.iterations
        return int(getattr(iterations, "value", iterations))

    def _file(self, run: str) -> EventFile:
        if run not in self._files:
            self._files[run] = EventFile(os.path.join(self.log_dir, run))
        return self._files[run]

    def _scalars(self, run: str, tag: str, values: Logs, step: int) -> None:
        for name, value in values.items():
            if np.ndim(value) == 0:  # TensorBoard has no place for a metric of several values
                self._file(run).scalar(tag.format(name), value, step)

    def _write_weights(self, epoch: int) -> None:
        for layer in self.model.layers:
            for weight in layer.weights:
                tag = weight.name
                if not tag.startswith(f"{layer.name}/"):  # of a layer within
                    tag = f"{layer.name}/{tag}"
                self._file("train").histogram(f"{tag}/histogram", weight.value, epoch)
                images = _as_images(weight.value)
                if self.write_images and images is not None:
                    self._file("train").images(f"{tag}/image", images, epoch)


def _as_images(weight: np.ndarray) -> np.ndarray | None:
    """A weight as Keras shows it: images uint8 (n, height, width, channels), or None."""
    array = weight.squeeze()
    if array.ndim == 1:
        array = array[None, :, None, None]
    elif array.ndim == 2:
        array = (array.T if array.shape[0] > array.shape[1] else array)[None, ..., None]
    elif array.ndim == 3:
        array = array.transpose(2, 0, 1)[..., None]
    if array.ndim != 4 or array.shape[-1] not in (1, 3, 4):
        return None
    return np.clip(array[:_IMAGES] * 255.5, 0, 255).astype(np.uint8)
