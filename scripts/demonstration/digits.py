"""The demo's real input: scikit-learn's copy of the UCI handwritten digits, written as CSV at run time."""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

TRAINED_ON = 1257
"""of 1797 rows; the remaining 540 are the test"""


def write_digits(folder: Path) -> None:
    """`train.csv` and `test.csv`: 64 pixels (0 to 16) and the label, with a header."""
    data = load_digits()
    rows = np.column_stack([data.data.astype(int), data.target])
    np.random.default_rng(2026).shuffle(rows)
    header = ",".join([*(f"p{pixel}" for pixel in range(64)), "label"])
    for name, part in (("train.csv", rows[:TRAINED_ON]), ("test.csv", rows[TRAINED_ON:])):
        np.savetxt(folder / name, part, fmt="%d", delimiter=",", header=header, comments="")
