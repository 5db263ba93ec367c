"""The section `[generation.sampling]`: one optional value for every field of `engine.types.Sampling`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct, defstruct
from msgspec.structs import fields

from engine.types import Sampling

SAMPLING_HELP: dict[str, str] = {
    "temperature": "How boldly tokens are drawn; 0 always takes the likeliest.",
    "dynatemp_range": "How far the temperature follows the entropy of the next token; 0 is off.",
    "dynatemp_exponent": "How entropy maps to temperature within dynatemp_range.",
    "top_k": "Draw among this many likeliest tokens; 0 is off.",
    "top_p": "Draw among the likeliest tokens that together reach this probability; 1 is off.",
    "min_p": "Drop tokens below this share of the likeliest token's probability; 0 is off.",
    "typical_p": "Keep tokens whose surprise is close to the expected one, up to this probability; 1 is off.",
    "top_n_sigma": "Keep tokens within this many standard deviations of the best logit; negative is off.",
    "min_keep": "The truncating samplers leave at least this many tokens.",
    "repetition_penalty": "Divides the logits of tokens that were used before; 1 is off.",
    "repeat_last_n": "How many of the last tokens the penalties look at; -1 is the whole context, 0 none.",
    "presence_penalty": "Taken once from the logit of every token that was used before.",
    "frequency_penalty": "Taken from a token's logit once for every time it was used.",
    "dry_multiplier": "Strength of the penalty on repeating whole sequences (DRY); 0 is off.",
    "dry_base": "How fast the DRY penalty grows with the length of the repeated sequence.",
    "dry_allowed_length": "Repeated sequences up to this many tokens are free of the DRY penalty.",
    "dry_penalty_last_n": "How many of the last tokens DRY looks at; -1 is the whole context.",
    "dry_sequence_breakers": "Texts at which a repeated sequence ends for DRY.",
    "xtc_probability": "How often the likeliest tokens are left out for variety (XTC); 0 is off.",
    "xtc_threshold": "Tokens above this probability are those that XTC may leave out.",
    "mirostat": "Steer towards a constant surprise: 0 off, 1 or 2 the version of Mirostat.",
    "mirostat_tau": "The surprise that Mirostat steers to.",
    "mirostat_eta": "How fast Mirostat corrects.",
    "seed": "Seed of the draw; -1 draws a fresh one for each request.",
    "logit_bias": "Added to the logit of a token, by token id.",
    "banned_tokens": "Token ids that are never drawn.",
    "ignore_eos": "Go on after the model's end of turn.",
    "samplers": "Order of the truncating samplers by name; empty is the backend's usual order.",
}

if TYPE_CHECKING:

    class SamplingSettings(Struct, frozen=True):
        """Values over the house defaults: the fields of `engine.types.Sampling`, None where not said."""

else:
    SamplingSettings = defstruct(
        "SamplingSettings",
        [
            (
                known.name,
                Annotated[
                    known.type | None,
                    Meta(description=SAMPLING_HELP[known.name], extra={"applies": "answer"}),
                ],
                None,
            )
            for known in fields(Sampling)
        ],
        frozen=True,
        kw_only=True,
        forbid_unknown_fields=True,
        module=__name__,
        namespace={
            "__doc__": "How tokens are drawn; what is not set is the model's own, else the house default."
        },
    )
