"""Names of GGUF quantisations: how they stand in file names, and which is taken where nobody says one. Pure."""

from __future__ import annotations

import re
from typing import Final

USUAL: Final = "Q4_K_M"
"""What is taken if it is there and fits: a quarter of the bytes for a loss that few notice."""
_LABEL: Final = re.compile(
    r"(?<![A-Za-z0-9])(?P<label>(?:UD-)?(?:"
    r"IQ[1-4]_(?:XXS|XS|S|M|NL)|T?Q[1-8]_K(?:_(?:XXL|XL|XS|S|M|L))?|Q[4-8]_[01](?:_[48]_[48])?|TQ[12]_0|"
    r"MXFP4(?:_MOE)?|NVFP4|BF16|FP?16|FP?32))(?![A-Za-z0-9])",
    re.IGNORECASE,
)
_ORDER: Final = (
    "Q4_K_M", "UD-Q4_K_XL", "Q4_K_L", "Q4_K_S", "IQ4_NL", "IQ4_XS", "Q4_K", "Q4_0", "Q4_1", "MXFP4", "MXFP4_MOE",
    "Q5_K_M", "Q5_K_S", "Q5_0", "Q6_K", "Q8_0", "Q3_K_L", "Q3_K_M", "IQ3_M", "Q3_K_S",
)  # fmt: skip
_RANKS: Final = {name: rank for rank, name in enumerate(_ORDER)}


def label_of(name: str) -> str:
    """The quantisation that a file's or folder's name says, in its usual spelling; empty if it says none."""
    found = [match["label"].upper() for match in _LABEL.finditer(name)]
    return found[-1].replace("FP16", "F16").replace("FP32", "F32") if found else ""


def rank(label: str, size: int) -> tuple[int, int]:
    """Sorts what may be taken unasked, the best first: by name, the rest by size (bytes)."""
    return _RANKS.get(label.upper(), len(_ORDER)), size
