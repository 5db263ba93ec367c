"""What each backend can do, as the docs list it: `python -m cli.backends > docs/backends.md`.

Asked of the backends themselves for the starter model in each of its forms, so that the table cannot say more than
requests are held to.
"""

from __future__ import annotations

from collections.abc import Iterable

from engine.runtime.backends import reading_opener
from engine.runtime.backends.base import LoadSpec
from engine.types import Capabilities, LoadOptions, Sampling
from starter import gguf_path, hf_path, vision_paths

COLUMNS = {
    "llama.cpp (GGUF)": ("llama", gguf_path()),
    "transformers (safetensors)": ("transformers", hf_path()),
    "MLX (safetensors)": ("mlx", hf_path()),
}
"""Backend and model by the heading of their column."""
_ABILITIES = {
    "logprobs": "log-probabilities of the answer",
    "prompt_logprobs": "log-probabilities of the prompt",
    "seed": "seeds",
    "adapters": "LoRA adapters without a reload",
    "fork": "computed beginnings shared by requests",
    "trim": "computed sequences cut back anywhere, as guesses and draft models need",
    "save": "computed sequences kept on disk",
    "cancel_in_prefill": "a step can be broken off",
    "infill": "fill in the middle by the model's own marks",
    "embeddings": "embeddings",
    "rerank": "ranking (of models with a rank head)",
}


def document(found: dict[str, Capabilities], seeing: dict[str, Capabilities]) -> str:
    """The document: what is `found` by heading, of a model that reads text, and of one that sees."""
    constraints = sorted({kind for each in found.values() for kind in each.constraints})
    rows = [
        ("images, of models that see", ["image" in each.modalities for each in seeing.values()]),
        *((text, [getattr(each, name) for each in found.values()]) for name, text in _ABILITIES.items()),
        *(
            (f"answers held to: {kind}", [kind in each.constraints for each in found.values()])
            for kind in constraints
        ),
        *(
            (f"`{name}`", [name in each.sampling for each in found.values()])
            for name in Sampling.__struct_fields__
        ),
    ]
    loads = [
        (f"`{name}`", [each.load_options[name] for each in found.values()])
        for name in LoadOptions.__struct_fields__
    ]
    lines = [
        "# Backends",
        "",
        "What each backend can do with the starter model `ember`, and of images with `ember-vision`; of other models",
        "it depends on what they are. A request that asks for more is refused, and the refusal names what.",
        "",
        "What all of them can do means the same on all of them; `tests/parity` holds them to it. Greedy text is",
        "token for token that of the bare library, up to the first place where the two best tokens are as good as",
        "equal. Under llama.cpp that place may come sooner with flash attention, which it chooses by itself: on a CPU",
        "its sums then depend on how a text was cut into batches. The load option `flash_attention` switches it off.",
        "",
        "Written by `python -m cli.backends > docs/backends.md`.",
        "",
        *_table(found, [(text, ["yes" if able else "no" for able in ables]) for text, ables in rows]),
        "",
        "## Load options",
        "",
        "One that a request, an alias or a load names and that a backend does not honour is refused by its name; a",
        "setting of that name (`runtime.…`) is for all models, and means nothing for those under such a backend.",
        "",
        *_table(found, loads),
        "",
    ]
    return "\n".join(lines)


def _table(headings: Iterable[str], rows: Iterable[tuple[str, list[str]]]) -> list[str]:
    headings = tuple(headings)
    return [
        f"| | {' | '.join(headings)} |",
        f"| --- | {' | '.join('---' for _ in headings)} |",
        *(f"| {text} | {' | '.join(cells)} |" for text, cells in rows),
    ]


def capabilities(*, seeing: bool = False) -> dict[str, Capabilities]:
    """What the backends say of ember, or of the starter model that sees, by heading. No weights are loaded."""
    found = {}
    for heading, (backend, path) in COLUMNS.items():
        read = reading_opener(backend, lambda level, text: None)
        spec = LoadSpec(model="ember", path=str(path), options=LoadOptions())
        if seeing:
            gguf, projector, folder = vision_paths()
            path = gguf if backend == "llama" else folder
            spec = LoadSpec(
                model="ember-vision", path=str(path), projector=str(projector), options=LoadOptions()
            )
        model = read(spec)
        found[heading] = model.facts.capabilities
        model.close()
    return found


if __name__ == "__main__":
    print(document(capabilities(), capabilities(seeing=True)), end="")
