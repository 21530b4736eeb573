"""CeflOrchestration's policies: adapters between observations and decisions of a round."""

from rangym.policies.registry import Entry

_NATIVE = {"action": "native"}

POLICIES = {
    "convex_reference": Entry(
        "rangym.policies.cefl_orchestration.convex:ConvexReference",
        "conic programmes of each round, over all aggregators",
        "reference",
        "model",
        overrides=_NATIVE,
    ),
    "priced": Entry(
        "rangym.policies.cefl_orchestration.convex:Priced",
        "the same with a price on the gap that is left",
        knowledge="model",
        overrides=_NATIVE,
    ),
    "primal_dual": Entry(
        "rangym.policies.cefl_orchestration.distributed:PrimalDual",
        "Ganguly et al., Algorithms 1 and 2",
        "reference",
        "model",
        overrides=_NATIVE,
    ),
    "primal_dual_consensus": Entry(
        "rangym.policies.cefl_orchestration.distributed:PrimalDualConsensus",
        "Ganguly et al., Algorithms 1 to 3: with consensus",
        "reference",
        "model",
        overrides=_NATIVE,
    ),
    "local_search": Entry(
        "rangym.policies.cefl_orchestration.constants:LocalSearch",
        "coordinate steps on the round's cost, from each aggregator",
        knowledge="model",
        overrides=_NATIVE,
    ),
    "uniform": Entry(
        "rangym.policies.cefl_orchestration.rules:Uniform",
        "equal shares, settings in the middle of their ranges",
        knowledge="model",
        overrides=_NATIVE,
    ),
    "tuned_constant": Entry(
        "rangym.policies.cefl_orchestration.constants:TunedConstant",
        "one compact action for all rounds",
        knowledge="model",
        overrides=_NATIVE,
    ),
    "fixed_aggregator": Entry(
        "rangym.policies.cefl_orchestration.constants:FixedAggregator",
        "Ganguly et al., Fig. 4: always the same DC",
        knowledge="model",
        overrides=_NATIVE,
    ),
    "data_greedy": Entry(
        "rangym.policies.cefl_orchestration.constants:DataGreedy",
        "Ganguly et al., Fig. 3: the DC of the sub-network with most data",
        knowledge="model",
        overrides=_NATIVE,
    ),
    "rate_greedy": Entry(
        "rangym.policies.cefl_orchestration.constants:RateGreedy",
        "Ganguly et al., (76): the DC with the best mean rate from the UEs",
        knowledge="model",
        overrides=_NATIVE,
    ),
    "no_offloading": Entry(
        "rangym.policies.cefl_orchestration.constants:NoOffloading",
        "every UE keeps its data",
        knowledge="model",
        overrides=_NATIVE,
    ),
    "fednova_ue": Entry(
        "rangym.policies.cefl_orchestration.rules:FednovaUe",
        "FedNova over UEs, without offloading",
        knowledge="model",
        overrides=_NATIVE,
    ),
    "fednova_dpu": Entry(
        "rangym.policies.cefl_orchestration.rules:FednovaDpu",
        "FedNova over UEs and DCs, half of the data offloaded",
        knowledge="model",
        overrides=_NATIVE,
    ),
}
