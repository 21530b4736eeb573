"""CeflOrchestration's agents: one network decides a round's whole compact action from its flat observation."""

from rangym.baselines.policy import FlatPolicy


class RoundsPpo(FlatPolicy):
    """PPO from the flat observation to the compact action, trained on ``small``.

    The discount is 0, since rounds do not depend on one another. Tuned in eight tries of one agent, some cut short, in
    a minute or two of CPU time as every recipe here: learning rate, noise at the start, passes, lanes, features with
    mean 0 and variance 1.

    Parameters
    ----------
    agent : number of a shipped agent, or the path of one that ``rangym train`` wrote; by default each episode draws
        one of the shipped agents, so that intervals over episodes cover the variation between training runs.
    """

    recipe = "ppo_rounds"


class RoundsSac(FlatPolicy):
    """SAC from the flat observation to the compact action, trained on ``small`` with discount 0: a negative result.

    Five tries. It takes twice the CPU time of `RoundsPpo` for a fifth of its slots, and stays near ``tuned_constant``.
    """

    recipe = "sac_rounds"
    squashes = True


class GapPpo(FlatPolicy):
    """PPO trained on ``small_gap``, where a round leaves its optimality gap to the next, with discount .9.

    Nine tries: discount, lambda of its advantages, learning rate, length. Greater discounts learn more slowly.
    """

    recipe = "ppo_gap"


class MyopicGapPpo(FlatPolicy):
    """The twin of `GapPpo` with discount 0: it sees what its round costs and not what the gap costs afterwards.

    A negative result, which tells what looking ahead is worth.
    """

    recipe = "ppo_gap_myopic"
