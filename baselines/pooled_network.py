"""An actor-critic for items that share one network and see each other through means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from gymnasium.spaces import Box
from stable_baselines3.common.distributions import Distribution
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import MlpExtractor
from stable_baselines3.common.type_aliases import Schedule
from torch import nn

from rangym.baselines.agent import Network
from rangym.envs.errors import WrongValue


class PooledLayers(nn.Module):
    """Hidden layers with tanh, applied to each of K items; from the second on an item also sees the items' mean.

    Takes rows ``(B, K * F)``, returns ``(B, K, H)``.
    """

    def __init__(self, items: int, features: int, hidden: list[int]):
        super().__init__()
        self.items = items
        inputs = [features, *(2 * width for width in hidden[:-1])]
        self.layers = nn.ModuleList([nn.Linear(a, b) for a, b in zip(inputs, hidden, strict=True)])

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        x = rows.reshape(len(rows), self.items, -1)
        for k, module in enumerate(self.layers):
            layer = cast(nn.Linear, module)
            if k:  # layer(cat(x, mean)), but the mean's part is computed once for all items
                width = x.shape[2]
                own, shared = layer.weight[:, :width], layer.weight[:, width:]
                pooled = nn.functional.linear(x.mean(dim=1, keepdim=True), shared, layer.bias)
                x = torch.tanh(nn.functional.linear(x, own) + pooled)
            else:
                x = torch.tanh(layer(x))
        return x


class _Latents(nn.Module):
    """What SB3 calls the extractor: the actor's hidden layers, and the critic's, pooled."""

    def __init__(self, items: int, features: int, hidden: list[int]):
        super().__init__()
        self.actor, self.critic = (PooledLayers(items, features, hidden) for _ in range(2))
        self.latent_dim_pi, self.latent_dim_vf = hidden[-1], hidden[-1]

    def forward(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.forward_actor(rows), self.forward_critic(rows)

    def forward_actor(self, rows: torch.Tensor) -> torch.Tensor:
        return self.actor(rows)

    def forward_critic(self, rows: torch.Tensor) -> torch.Tensor:
        return self.critic(rows).mean(dim=1)


class PooledActorCritic(ActorCriticPolicy):
    """SB3's actor-critic over observations ``Box (K, F)`` and actions ``Box (K, A)``, equal under permuted items.

    The actor's last layer is shared by the items, and so is the standard deviation of each of the A entries.
    """

    def __init__(self, observation_space: Box, action_space: Box, lr_schedule: Schedule, **kwargs: Any):
        if len(observation_space.shape) != 2 or len(action_space.shape) != 2:
            raise WrongValue(f"boxes (K, F) and (K, A) wanted, got {observation_space} and {action_space}")
        self._sizes = (*observation_space.shape, action_space.shape[1])
        super().__init__(observation_space, action_space, lr_schedule, **kwargs)

    def _build_mlp_extractor(self) -> None:
        items, features, _ = self._sizes
        latents = _Latents(items, features, [int(width) for width in self.net_arch])
        self.mlp_extractor = cast(MlpExtractor, latents)  # SB3 asks it for no more than `_Latents` has

    def _build(self, lr_schedule: Schedule) -> None:
        entries = self._sizes[2]
        super()._build(lr_schedule)  # its action layer is for all items at once: replaced
        self.action_net = nn.Linear(self.mlp_extractor.latent_dim_pi, entries)
        self.init_weights(self.action_net, gain=0.01)
        self.log_std = nn.Parameter(torch.full((entries,), float(self.log_std_init)))
        made: Callable[..., torch.optim.Optimizer] = self.optimizer_class
        self.optimizer = made(self.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs)

    def _get_action_dist_from_latent(self, latent_pi: torch.Tensor) -> Distribution:
        mean = self.action_net(latent_pi)  # (B, K, A)
        log_std = self.log_std.repeat(mean.shape[1])
        return self.action_dist.proba_distribution(mean.flatten(1), log_std)

    def export(self) -> Network:
        """The actor as arrays."""
        hidden = cast(_Latents, self.mlp_extractor).actor.layers
        linear = [cast(nn.Linear, layer) for layer in (*hidden, self.action_net)]
        layers = [(part.weight.detach().numpy().T.copy(), part.bias.detach().numpy().copy()) for part in linear]
        return Network(layers, "tanh", pooled=True)
