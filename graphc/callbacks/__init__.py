"""What runs between the steps of `fit`, `evaluate` and `predict`: `keras.callbacks`."""

from .callback import Callback, LambdaCallback
from .callback_list import CallbackList
from .checkpoint import ModelCheckpoint
from .learning_rate import LearningRateScheduler
from .monitors import EarlyStopping, ReduceLROnPlateau
from .progress import ProgbarLogger
from .records import CSVLogger, History
from .termination import TerminateOnNaN

__all__ = [
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "TerminateOnNaN",
]
