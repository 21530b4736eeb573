"""How CellAssociation is evaluated."""

from dataclasses import replace

from rangym.evaluation.protocol import Benchmark, Card

ENV_ID = "rangym/CellAssociation-v0"
AGENTS = ("ppo_shared", "ppo_flat", "ppo_maskable", "ppo_city")
"""Trained on `small`, the last one on `munich`: elsewhere the flat ones do not fit, and the shared ones would show how
they transfer, not RL."""
PLACES = ("map_forecast", "ppo_place")
"""They need to see positions, which only `urban` and the ray-traced cities show."""
LITERAL = ("lda:form=printed,gradient_at=sample,rounding=independent",)

SMALL = Benchmark(ENV_ID, "small", without=("static_oracle", "ppo_city", *PLACES), variants=LITERAL)
# The flat agents see other fields in `urban` than they were trained for.
URBAN = Benchmark(ENV_ID, "urban", without=("static_oracle", "ppo_flat", "ppo_maskable", "ppo_city"), variants=LITERAL)
# What a map learned in one place is worth elsewhere: each trace has a place of its own.
ELSEWHERE = replace(URBAN, overrides={"map_seed": None})
# In a city the agents show how they move there from `small` and `urban`; `ppo_place` needs the city's map.
CITIES = tuple(
    Benchmark(
        ENV_ID,
        city,
        without=("static_oracle", "ppo_flat", "ppo_maskable", "ppo_place"),
        variants=(f"ppo_place:map={city}",),
    )
    for city in ("munich", "florence")
)

CARD = Card(
    bound="rangym.evaluation.problems.cell_association.bound:bound",
    # In `measured` about 3 of 25 cells can be heard: any rule at all would score near 1 against random choice.
    # In `urban` links that fail drive it far below every rule. In the ray-traced cities 3 of 18 cells are heard, in
    # `city` 9 of 200.
    zero_policy=dict.fromkeys(("measured", "urban", "munich", "florence", "city"), "max_sinr"),
    quick=(SMALL,),
    full=(
        URBAN,
        ELSEWHERE,
        *CITIES,
        Benchmark(ENV_ID, "static", range(10), without=(*AGENTS, *PLACES), variants=LITERAL),
        Benchmark(ENV_ID, "volatile", range(10), without=("static_oracle", *AGENTS, *PLACES), variants=LITERAL),
        # `hindsight` takes 20 s a trace here, more than all others together.
        Benchmark(
            ENV_ID, "desk", range(10), without=("static_oracle", "hindsight", *AGENTS, *PLACES), variants=LITERAL
        ),
    ),
    published=(SMALL, URBAN, ELSEWHERE, *CITIES),
)
