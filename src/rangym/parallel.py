"""The door to many agents; what is behind it needs PettingZoo, this module does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from rangym.envs.core import SystemEnv
from rangym.envs.errors import MissingExtra, WrongType, WrongValue, shown
from rangym.envs.params import nearest, ranges
from rangym.envs.registration import Problem, full_id, lineage, problem, resolve
from rangym.envs.slicing import Slicing

if TYPE_CHECKING:
    from rangym.parallel_shell import SystemParallelEnv

REWARDS = ("shared", "own")


def parallel_env(
    env_id: str,
    scenario: str = "small",
    reward: str = "shared",
    render_mode: str | None = None,
    **overrides: object,
) -> SystemParallelEnv:
    """An environment as its many agents see it, by PettingZoo's parallel API.

    ## Description
    It is the single environment in another shape, with the same seeds and traces: all agents' actions together are its
    native action, and the episode is the same bit for bit. Agents act at once and live until the episode's end.

    | problem | agents | each decides |
    |---|---|---|
    | CellAssociation | `ue_0` .. | its cell |
    | NodePlacement | `node_0` .. | its step |
    | NomaAllocation | `ue_0` .. | its sub-channel, or none |
    | QosClustering | `cell_0` .. | its head |
    | CeflOrchestration | `ue_0` .., `bs_0` .., `dc_0` .. | what happens at its place |

    ## Action Space
    The native action's own terms: `Discrete` for an entry of a `MultiDiscrete`, else a `Box` of the agent's entries. In
    CeflOrchestration these are, block after block: for a UE offloaded shares (B), clock, iterations, mini-batch, scores
    of the BSs it talks to (B) and listens to (B); for a BS forwarded shares (S); for a DC its bid to be the aggregator,
    speed, iterations, mini-batch.

    Where the environment has action masks, `infos[agent]["action_mask"]` holds the agent's own (int8, 1 for what makes
    sense), one of the two places that PettingZoo's conventions name; it is not in the observation, which has the same
    fields with masks and without. Every choice stays legal.

    ## Observation Space
    A `Dict` of the environment's own fields, of which an agent sees its entries: where these are (I, J), agent i sees
    (J,), and of (I,) an array of one number. Fields that belong to nobody are seen whole. `other_<field>` holds the
    entries of the agent's fellows, in their order: positions of the other nodes, SNR, training time and presence of a
    user's rivals, the slots of the other cells. `rangym.envs.<problem>.slicing` says which. `state()` is the whole
    observation as one vector in [-1, 1], for training that is central; `rangym.envs.flat.Flatten` makes such a vector
    of what an agent sees.

    ## Rewards
    `reward="shared"`: all get the environment's. `reward="own"`: what the baselines train with.

    | problem | own reward |
    |---|---|
    | CellAssociation, `handover_cost="sum"` | what the UE adds to I times the shared one, less a term of the trace |
    | QosClustering, `eta=0` | what the cell adds to N times the shared one, less a term of the trace |
    | NodePlacement, with a speed limit | the shared one less that of K-means on the same trace; equal for all nodes |

    In the first two an agent that alone changes its action changes its reward by exactly I (N) times the change of the
    shared one: a potential game, in which selfish improvement improves the whole. Own rewards do not sum to the shared
    one. The other problems have none.

    ## Starting State
    That of the environment; `reset(seed=s)` draws the trace that `gym.make(...).reset(seed=s)` does. The option
    `trace` replays one; other options are ignored with a warning, as PettingZoo wants it.

    ## Episode End
    That of the environment, for all agents at once; `agents` is empty then.

    ## Arguments
    env_id : ``"CellAssociation"``, or the full id; a problem of your own where its registration names a slicing.
    scenario, render_mode, overrides : as for `gym.make`. Actions are native, whatever the scenario's coding.
    reward : ``"shared"`` or ``"own"``. Where the environment has a parameter of this name (NodePlacement,
        CeflOrchestration) its values are taken too, and agents share that reward. For both at once:
        ``SystemParallelEnv(gym.make(..., reward="mean_rate").unwrapped, reward="own")``.

    Raises `MissingExtra` without PettingZoo (``pip install 'rangym[agents]'``), `ValueError` and `TypeError` as
    `gym.make` does.

    Examples
    --------
    >>> import rangym
    >>> env = rangym.parallel_env("CellAssociation", scenario="tiny", reward="own")
    >>> observations, infos = env.reset(seed=0)
    >>> env.agents[:2], observations["ue_0"]["sinr_db"].shape, env.action_space("ue_0")
    (['ue_0', 'ue_1'], (3,), Discrete(3))
    >>> from rangym.envs.flat import Flatten
    >>> Flatten(env.observation_space("ue_0"))(observations["ue_0"]).shape
    (16,)
    >>> actions = {agent: int(seen["sinr_db"].argmax()) for agent, seen in observations.items()}
    >>> observations, rewards, terminations, truncations, infos = env.step(actions)
    >>> sorted(rewards) == env.agents and infos["ue_0"]["action_mask"].dtype
    dtype('int8')
    """
    found = problem(full_id(env_id))
    system_class = found.system_class
    slicing, _ = slicing_of(system_class)
    if "system" in overrides:
        raise WrongType("system: the problem's own wanted; SystemParallelEnv(SystemEnv(...)) takes another")
    overrides = {**slicing.overrides, **overrides}
    if reward not in REWARDS:
        first = next(iter(system_class.scenarios.values()))
        own_words = ranges(first)["reward"].words if "reward" in ranges(first) else ()
        if reward not in own_words:
            words = [*REWARDS, *map(str, own_words)]
            raise WrongValue(f"reward: one of {words} wanted, got {shown(reward)}{nearest(reward, words)}")
        overrides, reward = {**overrides, "reward": reward}, "shared"
    shell = _shell()
    return shell(SystemEnv(found.system, scenario, render_mode, **overrides), reward)


def _shell() -> type[SystemParallelEnv]:
    try:
        from rangym.parallel_shell import SystemParallelEnv
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "pettingzoo":
            raise
        raise MissingExtra("parallel_env needs PettingZoo: pip install 'rangym[agents]'") from error
    return SystemParallelEnv


def slicing_of(system_class: type) -> tuple[Slicing, Problem]:
    """The nearest slicing to a system's class, and the problem that it is of."""
    for found in lineage(system_class):
        if found.slicing is not None:
            slicing = resolve(found.slicing)
            if not isinstance(slicing, Slicing):
                raise WrongType(f"slicing of {found.env_id}: a Slicing wanted, got {type(slicing).__name__}")
            return cast(Slicing, slicing), found
    raise WrongValue(f"env_id: a problem registered with a slicing wanted, got {system_class.__name__}")
