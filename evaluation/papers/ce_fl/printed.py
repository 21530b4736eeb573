"""The numbers of Tables I and II as printed."""

from __future__ import annotations

TARGETS = {"F-MNIST": (0.6, 0.7, 0.8), "CIFAR-10": (0.4, 0.5, 0.6)}
"""Target accuracies of the columns."""
ENERGY_KJ = {
    "F-MNIST": {"CE-FL": (19.5, 32.8, 47.3), "FedNova": (23.4, 49.2, 78.7), "FedAvg": (27.9, 57.1, 83.2)},
    "CIFAR-10": {"CE-FL": (17.3, 26.6, 42.7), "FedNova": (24.7, 35.1, 60.3), "FedAvg": (29.1, 39.0, 67.8)},
}
DELAY_S = {
    "F-MNIST": {
        "CE-FL": (2721.2, 3521.4, 4577.8),
        "FedNova": (3035.2, 4359.9, 5432.6),
        "FedAvg": (3721.6, 4882.7, 6156.3),
    },
    "CIFAR-10": {
        "CE-FL": (2850.7, 3988.6, 4912.5),
        "FedNova": (3271.5, 4729.9, 5873.4),
        "FedAvg": (4022.1, 5623.9, 6433.8),
    },
}
SAVINGS = {
    "energy": {
        "F-MNIST": {"FedNova": (16.7, 33.3, 39.9), "FedAvg": (30.1, 42.6, 43.1)},
        "CIFAR-10": {"FedNova": (30.0, 24.2, 29.2), "FedAvg": (40.5, 31.8, 37.0)},
    },
    "delay": {
        "F-MNIST": {"FedNova": (10.3, 19.2, 15.7), "FedAvg": (26.9, 27.9, 25.6)},
        "CIFAR-10": {"FedNova": (12.9, 15.7, 16.4), "FedAvg": (29.1, 29.1, 23.7)},
    },
}
"""Savings of CE-FL in %, by what is saved, data set and against whom; the columns of `TARGETS`."""
TABLES = {"energy": ENERGY_KJ, "delay": DELAY_S}
WHERE = {"energy": "Table I", "delay": "Table II"}
