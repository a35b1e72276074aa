"""What runs between the steps of `fit`, `evaluate` and `predict`: `keras.callbacks`."""

from .averages import SwapEMAWeights
from .backup import BackupAndRestore
from .callback import Callback, LambdaCallback
from .callback_list import CallbackList
from .checkpoint import ModelCheckpoint
from .learning_rate import LearningRateScheduler
from .live_plot import LivePlot
from .monitors import EarlyStopping, ReduceLROnPlateau
from .progress import ProgbarLogger
from .records import CSVLogger, History, RemoteMonitor
from .tensorboard import TensorBoard
from .termination import TerminateOnNaN

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "LivePlot",
    "ModelCheckpoint",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "RemoteMonitor",
    "SwapEMAWeights",
    "TensorBoard",
    "TerminateOnNaN",
]
