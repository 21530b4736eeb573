"""Optuna tunes a policy's options: on the tuning seeds, and the result is told on the evaluation seeds.

Every trial meets the same traces.
Takes 10 s. Needs Optuna: pip install optuna
"""

import optuna

from rangym import policies
from rangym.evaluation import Benchmark, evaluate

ENV_ID, SCENARIO = "rangym/CellAssociation-v0", "small"
TUNING = Benchmark(ENV_ID, SCENARIO, range(10_000, 10_004), any_seed=True)


def a3_of(choice):
    return policies.make(
        "a3",
        offset_db=choice.suggest_float("offset_db", 0, 12, step=0.5),
        time_to_trigger=choice.suggest_int("time_to_trigger", 1, 4),
        filter_coefficient=choice.suggest_categorical("filter_coefficient", [0, 4, 8, 11, 15]),
    )


def objective(trial):
    (rewards,) = [evaluate([a3_of(trial)], TUNING, bounds=False).rewards("a3")]
    return rewards.mean()


optuna.logging.set_verbosity(optuna.logging.WARNING)
study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=10_000))
study.optimize(objective, n_trials=25)
print(f"best of {len(study.trials)} trials: {study.best_params}, {study.best_value:.4f} per slot on the tuning seeds")

found, stored = a3_of(optuna.trial.FixedTrial(study.best_params)), "a3:tuned"
print(evaluate([found, "a3", "random"], Benchmark(ENV_ID, SCENARIO, range(10))))
