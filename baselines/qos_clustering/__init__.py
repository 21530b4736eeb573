"""Agents and predictors of QosClustering."""
