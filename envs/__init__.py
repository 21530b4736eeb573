"""Environments: an exogenous trace, a pure system model and two Gymnasium shells."""
