"""Trains and evaluates a softmax classifier of handwritten digits; runs inside the job, on numpy alone.

Reads in/train.csv and in/test.csv (64 pixel values and a label a row), writes out/predictions.csv,
out/confusion.csv and out/metrics.json; the buyer's NONCE comes back in the metrics.
"""

import json
import os
import sys
import time

import numpy as np

EPOCHS = 240
BATCH = 64
RATE = 0.08
DECAY = 1e-4


def read(path: str) -> tuple[np.ndarray, np.ndarray]:
    rows = np.loadtxt(path, delimiter=",", skiprows=1, dtype=np.int64)
    pixels = rows[:, :-1] / 16.0
    return np.hstack([pixels, np.ones((len(rows), 1))]), rows[:, -1]


def softmax(scores: np.ndarray) -> np.ndarray:
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: np.ndarray = odds / odds.sum(axis=1, keepdims=True)
    return shares


def train(pixels: np.ndarray, labels: np.ndarray) -> np.ndarray:
    draw = np.random.default_rng(7)
    wanted = np.eye(10)[labels]
    weights = np.zeros((pixels.shape[1], 10))
    for epoch in range(1, EPOCHS + 1):
        order = draw.permutation(len(pixels))
        for first in range(0, len(order), BATCH):
            rows = order[first : first + BATCH]
            error = softmax(pixels[rows] @ weights) - wanted[rows]
            weights -= RATE * (pixels[rows].T @ error / len(rows) + DECAY * weights)
        if epoch % 40 == 0:
            odds = softmax(pixels @ weights)
            loss = -np.log(odds[np.arange(len(labels)), labels]).mean()
            print(f"epoch {epoch:3d}  loss {loss:.4f}", flush=True)
            time.sleep(0.3)  # leaves time to watch the log stream
    return weights


def main() -> None:
    pixels, labels = read("in/train.csv")
    print(f"training on {len(labels)} digits, numpy {np.__version__}, uid {os.getuid()}", flush=True)
    weights = train(pixels, labels)
    pixels, labels = read("in/test.csv")
    odds = softmax(pixels @ weights)
    guessed = odds.argmax(axis=1)
    confusion = np.zeros((10, 10), dtype=np.int64)
    np.add.at(confusion, (labels, guessed), 1)
    accuracy = float((guessed == labels).mean())
    with open("out/predictions.csv", "w") as file:
        file.write("row,label,predicted,probability\n")
        for row, (label, guess) in enumerate(zip(labels, guessed, strict=True)):
            file.write(f"{row},{label},{guess},{odds[row, guess]:.4f}\n")
    np.savetxt("out/confusion.csv", confusion, fmt="%d", delimiter=",")
    with open("out/metrics.json", "w") as file:
        metrics = {"accuracy": accuracy, "tested": len(labels), "nonce": os.environ.get("NONCE", "")}
        json.dump(metrics, file)
    print(f"accuracy {accuracy:.4f} on {len(labels)} unseen digits", flush=True)
    sys.exit(0 if accuracy > 0.9 else 1)


if __name__ == "__main__":
    main()
