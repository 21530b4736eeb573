"""Users in the places of sub-channels, two a sub-channel, in compiled loops over lanes, users and sub-channels.

L lanes, N users, K sub-channels; ``users`` (L, K, 2) are the users of the places, -1 for an empty one.
"""

from __future__ import annotations

import numba
import numpy as np

_kernel = numba.njit(cache=True, nogil=True)


@_kernel
def two_largest(subchannel, gain):
    """The users of each sub-channel with the two largest gains above 0 there (ties by index), ``users``."""
    lanes, ues, channels = gain.shape
    users = np.full((lanes, channels, 2), -1)
    for b in range(lanes):
        for n in range(ues):
            k = subchannel[b, n]
            if not 0 <= k < channels or not gain[b, n, k] > 0.0:
                continue
            first, second = users[b, k]
            if first < 0 or gain[b, n, k] > gain[b, first, k]:
                users[b, k, 0], users[b, k, 1] = n, first
            elif second < 0 or gain[b, n, k] > gain[b, second, k]:
                users[b, k, 1] = n
    return users


@_kernel
def keep_two(wanted, gain):
    """``wanted`` (L, N) for those of `two_largest` and K for the others; how many these are beside who wanted none."""
    lanes, ues, channels = gain.shape
    users = two_largest(wanted, gain)
    subchannel, displaced = np.full((lanes, ues), channels), np.zeros(lanes, np.int64)
    for b in range(lanes):
        for n in range(ues):
            k = wanted[b, n]
            if 0 <= k < channels:
                if users[b, k, 0] == n or users[b, k, 1] == n:
                    subchannel[b, n] = k
                else:
                    displaced[b] += 1
    return subchannel, displaced


@_kernel
def at_places(users, gain, window_s):
    """Gains and windows of the places (L, K, 2), from (L, N, K) and (L, N); empty ones hold user 0's."""
    place_gain, place_window_s = np.empty(users.shape), np.empty(users.shape)
    for b, k, i in np.ndindex(users.shape):
        n = max(users[b, k, i], 0)
        place_gain[b, k, i], place_window_s[b, k, i] = gain[b, n, k], window_s[b, n]
    return place_gain, place_window_s


@_kernel
def to_users(users, num_ues, served, power_w, decoded_first):
    """What `pair_upload` says of places, as values of the users: served and decoded first (L, N), power_w (L, N, 2);
    0 for users without a place."""
    lanes = len(users)
    ue_served, ue_first = np.zeros((lanes, num_ues), np.bool_), np.zeros((lanes, num_ues), np.bool_)
    ue_power_w = np.zeros((lanes, num_ues, 2))
    for b, k, i in np.ndindex(users.shape):
        n = users[b, k, i]
        if n >= 0:
            ue_served[b, n], ue_first[b, n] = served[b, k, i], decoded_first[b, k] == i
            ue_power_w[b, n, 0], ue_power_w[b, n, 1] = power_w[b, k, i, 0], power_w[b, k, i, 1]
    return ue_served, ue_power_w, ue_first
