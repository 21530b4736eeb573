"""CeflOrchestration's policies: adapters between observations and decisions of a round."""

from rangym.policies.registry import Entry

_NATIVE = {"action": "native"}

POLICIES = {
    "uniform": Entry(
        "rangym.policies.cefl_orchestration.rules:Uniform",
        "heuristic",
        "model",
        "equal shares, settings in the middle of their ranges",
        _NATIVE,
    ),
    "tuned_constant": Entry(
        "rangym.policies.cefl_orchestration.constants:TunedConstant",
        "heuristic",
        "model",
        "one compact action for all rounds",
        _NATIVE,
    ),
    "fixed_aggregator": Entry(
        "rangym.policies.cefl_orchestration.constants:FixedAggregator",
        "heuristic",
        "model",
        "Ganguly et al., Fig. 4: always the same DC",
        _NATIVE,
    ),
    "data_greedy": Entry(
        "rangym.policies.cefl_orchestration.constants:DataGreedy",
        "heuristic",
        "model",
        "Ganguly et al., Fig. 3: the DC of the sub-network with most data",
        _NATIVE,
    ),
    "rate_greedy": Entry(
        "rangym.policies.cefl_orchestration.constants:RateGreedy",
        "heuristic",
        "model",
        "Ganguly et al., (76): the DC with the best mean rate from the UEs",
        _NATIVE,
    ),
    "no_offloading": Entry(
        "rangym.policies.cefl_orchestration.constants:NoOffloading",
        "heuristic",
        "model",
        "every UE keeps its data",
        _NATIVE,
    ),
    "fednova_ue": Entry(
        "rangym.policies.cefl_orchestration.rules:FednovaUe",
        "heuristic",
        "model",
        "FedNova over UEs, without offloading",
        _NATIVE,
    ),
    "fednova_dpu": Entry(
        "rangym.policies.cefl_orchestration.rules:FednovaDpu",
        "heuristic",
        "model",
        "FedNova over UEs and DCs, half of the data offloaded",
        _NATIVE,
    ),
}
