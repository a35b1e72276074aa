"""Ctrl-C during fit: training ends soon, after a whole number of steps."""

import signal
import subprocess
import sys
import time

PROGRAM = """
import sys, time
import numpy as np
from graphc import callbacks, layers, models, optimizers, utils

random = np.random.default_rng(1)
x, y = random.normal(size=(4096, 32)), random.normal(size=(4096, 8))
model = models.Sequential(
    [layers.Input((32,)), layers.Dense(64, activation="tanh"), layers.Dense(8)]
)
model.compile(optimizers.SGD(1e-3, momentum=0.5), "mse")
start = model.get_weights()

def tell(epoch, logs):
    if epoch == 3:
        print("training", flush=True)

try:
    watch = callbacks.LambdaCallback(on_epoch_begin=tell)
    model.fit(x, y, batch_size=32, epochs=10**9, shuffle=False, verbose=0, callbacks=[watch])
except KeyboardInterrupt:
    print(time.time())

steps = int(model.optimizer.iterations.value)
ended = [*model.get_weights(), *(v.numpy() for v in model.optimizer.variables)]
assert steps > 3 * 128 and all(np.isfinite(w).all() for w in ended)

# The same number of steps again, counted; the model itself is as good as before.
model.set_weights(start)
for variable in model.optimizer.variables:
    if "learning_rate" not in variable.name:
        variable.assign(np.zeros(variable.shape))
model.fit(x, y, batch_size=32, epochs=steps // 128, shuffle=False, verbose=0)
rest = steps % 128 * 32
if rest:
    model.fit(x[:rest], y[:rest], batch_size=32, shuffle=False, verbose=0)
again = [*model.get_weights(), *(v.numpy() for v in model.optimizer.variables)]
assert all(np.array_equal(a, b) for a, b in zip(ended, again, strict=True))
print("whole steps")
"""


def test_an_interrupt_ends_fit_after_a_whole_step() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "training\n"
        time.sleep(0.3)
        sent = time.time()
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    raised, verdict = output.splitlines()
    assert 0 <= float(raised) - sent < 2  # 0.2 when the machine is idle
    assert verdict == "whole steps"
