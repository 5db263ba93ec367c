"""What the recorded hub has: repositories with files and cards, some of them awkward, and pulls in every stage."""

from __future__ import annotations

from engine.errors import DiskFull
from engine.types import HubCard, HubFile, HubFiles, HubModel, PullState, Quantisation

MIB, GIB = 2**20, 2**30
FREE = 9 * GIB
COMMIT = "3f1c0de5" * 5

CARD = """# Qwen3 8B, quantised

<p align="center"><img src="https://example.org/logo.png" width="400"/></p>
<!-- written by a script -->

[![Downloads](https://img.example.org/downloads.svg)](https://example.org)

**Qwen3** thinks before it answers, if you want it to. This repository holds GGUF files for llama.cpp
and whatever is built on it, made with an *importance matrix*.

## Which file?

| Quantisation | Bits | For whom |
| --- | ---: | --- |
| Q4_K_M | 4.9 | nearly everybody |
| Q8_0 | 8.5 | who has the memory |

1. Take the largest that fits.
2. Leave room for the context.

```python
messages = [{"role": "user", "content": "Why is the sky blue?"}]
print(chat(messages, enable_thinking=True))
```

> Licensed under Apache 2.0. See [the licence](https://example.org/licence).
"""

HOSTILE = (
    "# [red]Not markup[/red] $primary [@click=app.quit]x[/]\n\n"
    "&#x1b;[2J&#x202e;gnp.exe <http://a/%1b%5d0;owned%07>\n\n"
    "<script>alert(1)</script><img src=x onerror=y>\n\n"
    + "|a" * 400 + "|\n" + "|-" * 400 + "|\n" + "|b" * 400 + "|\n\n"
    + ">" * 200 + " deep\n\n" + "word" * 3000 + "\n\n```\nnever closed\n"
)  # fmt: skip


def hub_models() -> list[HubModel]:
    """What a search finds."""

    def gguf(name: str, family: str, billions: float, downloads: int, likes: int, **more: object) -> HubModel:
        said = {
            "task": "text-generation",
            "libraries": ("gguf",),
            "licence": "apache-2.0",
            "modified": "2026-09-14T08:00:00.000Z",
            "context": 40960,
            "commit": COMMIT,
            **more,
        }
        return HubModel(
            id=name,
            downloads=downloads,
            likes=likes,
            parameters=round(billions * 1e9),
            architecture=family,
            size=round(billions * 5e9 / 8),
            verdict="unknown" if not billions else "too big" if billions * 5e9 / 8 > FREE else "fits",
            **said,  # type: ignore[arg-type]
        )

    return [
        gguf("qwen/Qwen3-8B-GGUF", "qwen3", 8.2, 1_240_311, 3412),
        gguf(
            "meta-llama/Llama-3.3-70B-Instruct-GGUF",
            "llama",
            70.6,
            912_044,
            2875,
            licence="llama3.3",
            gated=True,
            context=131072,
        ),
        gguf("google/gemma-3-12b-it-qat-GGUF", "gemma3", 12.2, 604_120, 1544, task="image-text-to-text"),
        gguf("HuggingFaceTB/SmolLM3-3B-GGUF", "smollm3", 3.1, 88_250, 640, local=True, context=65536),
        gguf(
            "someone-with-a-long-name/A-Model-Whose-Name-Goes-On-And-On-Until-It-Leaves-Every-Screen-imatrix-GGUF",
            "llama",
            0.0,
            412,
            3,
            licence="",
            context=0,
            modified="",
        ),
        gguf("stranger/[red]-markup-GGUF", "llama", 1.1, 7, 0),
        HubModel(
            id="mlx-community/Qwen3-8B-4bit",
            downloads=51_200,
            likes=88,
            task="text-generation",
            libraries=("mlx", "safetensors"),
            licence="apache-2.0",
            modified="2026-05-02T10:00:00.000Z",
            parameters=8_200_000_000,
            architecture="qwen3",
            commit=COMMIT,
        ),
    ]


def hub_files() -> list[HubFiles]:
    """The forms of the repositories that can be looked into."""
    ladder = (
        ("IQ2_XXS", 0.27),
        ("Q2_K", 0.37),
        ("Q3_K_M", 0.46),
        ("IQ4_XS", 0.51),
        ("Q4_K_M", 0.57),
        ("Q5_K_M", 0.66),
        ("Q6_K", 0.77),
        ("Q8_0", 1.0),
        ("BF16", 1.88),
    )

    def forms(repository: str, largest: float, names: int = 20) -> HubFiles:
        found = []
        for name, part in ladder[:names]:
            size = int(largest * part * GIB)
            need = int(size * 1.16) + 300 * MIB
            verdict = "fits" if need < 0.8 * FREE else "tight" if need < FREE else "too big"
            file = HubFile(
                path=f"{repository.rpartition('/')[2]}-{name}.gguf", size=size, etag="e" * 64, sha256="e" * 64
            )
            found.append(
                Quantisation(
                    name=name,
                    format="gguf",
                    files=(file,),
                    size=size,
                    need=need,
                    verdict=verdict,  # type: ignore[arg-type]
                    recommended=name == "Q4_K_M" and verdict == "fits",
                    present=size if (repository, name) == ("HuggingFaceTB/SmolLM3-3B-GGUF", "Q4_K_M") else 0,
                )
            )
        return HubFiles(id=repository, revision="main", commit=COMMIT, quantisations=tuple(found), free=FREE)

    mlx = HubFile(path="model.safetensors", size=int(4.3 * GIB), etag="f" * 64, sha256="f" * 64)
    return [
        forms("qwen/Qwen3-8B-GGUF", 8.2),
        forms("meta-llama/Llama-3.3-70B-Instruct-GGUF", 70.0),
        forms("google/gemma-3-12b-it-qat-GGUF", 12.0),
        forms("HuggingFaceTB/SmolLM3-3B-GGUF", 3.1),
        HubFiles(
            id="someone-with-a-long-name/A-Model-Whose-Name-Goes-On-And-On-Until-It-Leaves-Every-Screen-imatrix-GGUF",
            revision="main",
            commit=COMMIT,
            quantisations=(
                Quantisation(
                    name="a-file-without-a-quantisation-in-its-very-long-name-of-which-nobody-knows-the-size",
                    format="gguf",
                    files=(mlx,),
                    size=int(4.3 * GIB),
                ),
            ),
            unsafe=("../../.ssh/authorized_keys", "CON:.gguf"),
            free=FREE,
        ),
        HubFiles(
            id="stranger/[red]-markup-GGUF", revision="main", commit=COMMIT, quantisations=(), free=FREE
        ),
        HubFiles(
            id="mlx-community/Qwen3-8B-4bit",
            revision="main",
            commit=COMMIT,
            quantisations=(
                Quantisation(
                    name="safetensors",
                    format="mlx",
                    files=(mlx,),
                    size=mlx.size,
                    need=int(5.1 * GIB),
                    verdict="fits",
                    recommended=True,
                ),
            ),
            free=FREE,
        ),
    ]


def hub_cards() -> list[HubCard]:
    """A good card, a gated one, an empty one, a hostile one."""
    models = {model.id: model for model in hub_models()}
    return [
        HubCard(model=models["qwen/Qwen3-8B-GGUF"], text=CARD, base=("Qwen/Qwen3-8B",)),
        HubCard(
            model=models["meta-llama/Llama-3.3-70B-Instruct-GGUF"],
            text="# Llama 3.3\n\nA model of 70 billion parameters.",
            gate="Accept its terms at https://huggingface.co/meta-llama/Llama-3.3-70B-Instruct-GGUF, "
            "then set HF_TOKEN or run: hf auth login.",
        ),
        HubCard(model=models["HuggingFaceTB/SmolLM3-3B-GGUF"]),
        HubCard(model=models["stranger/[red]-markup-GGUF"], text=HOSTILE),
    ]


def pull_states() -> list[PullState]:
    """One that runs, one that waits, one that is here, one that failed."""
    full = DiskFull(
        "There is no room for google/gemma-3-12b-it-qat-GGUF:Q4_K_M.",
        "It needs 6.8 GiB, 2.1 GiB are free on the disk.",
        "Delete something (d in Local, hearth cache prune), then go on with it.",
    )
    return [
        PullState(
            id="pull-a",
            model="qwen/Qwen3-8B-GGUF:Q4_K_M",
            stage="fetching",
            size=int(4.7 * GIB),
            done=int(2.0 * GIB),
            fetched=int(2.0 * GIB),
            speed=48.0 * MIB,
            left_s=58.0,
        ),
        PullState(id="pull-b", model="mlx-community/Qwen3-8B-4bit", stage="queued", position=1),
        PullState(
            id="pull-c",
            model="google/gemma-3-12b-it-qat-GGUF:Q4_K_M",
            stage="failed",
            size=int(6.8 * GIB),
            done=int(1.1 * GIB),
            error=full.info,
        ),
        PullState(
            id="pull-d",
            model="HuggingFaceTB/SmolLM3-3B-GGUF:Q4_K_M",
            stage="done",
            size=int(1.8 * GIB),
            done=int(1.8 * GIB),
        ),
    ]


def interrupted_pulls() -> list[PullState]:
    """One that an earlier run began."""
    return [
        PullState(
            id="",
            model="ibm-granite/granite-4.0-h-small-GGUF:Q4_K_M",
            stage="interrupted",
            size=int(18.2 * GIB),
            done=int(7.9 * GIB),
        )
    ]
