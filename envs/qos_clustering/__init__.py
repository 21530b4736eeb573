"""QosClustering: which cells share a predictor of their quality of service."""
