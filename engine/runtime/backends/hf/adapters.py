"""LoRA adapters of a loaded model, through PEFT: read once, kept beside the weights, switched by name.

Switching moves no weights and restores the base exactly. What was computed under other adapters is not reused: the
prefix cache above keeps the sets apart.
"""

from __future__ import annotations

import itertools
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.errors import HearthError, InvalidRequest, Unsupported
from engine.extras import way_to
from engine.library.lora_folder import Fingerprints, Stamp, is_of_mlx, read_lora, stamp_of
from engine.library.peft_config import said_in
from engine.runtime.backends.folder.loading import ran_out
from engine.runtime.backends.out_of_memory import is_out_of_memory
from engine.text_safety import plain
from engine.types import AdapterRef

_PREFIX = "base_model.model."
_DOWN, _LOOKED_UP = ".lora_A.weight", ".lora_embedding_A"


class Adapters:
    """The adapters of one model, each by the path of its folder."""

    def __init__(self, model: Any) -> None:
        self._model = model
        # A folder that was written anew under its old name is another adapter.
        self._names: dict[Stamp, str] = {}
        self._numbers = itertools.count()
        self._active: list[tuple[str, float]] = []
        """Those that hold now, by PEFT's names, with their scales."""
        self._fingerprints = Fingerprints()
        self._scales: dict[tuple[int, str], float] = {}
        """What each module multiplies the change of an adapter with, as its configuration says."""

    def use(self, adapters: Sequence[AdapterRef]) -> None:
        """Make exactly `adapters` hold; none at all restores the base model bit for bit.

        Those that hold already cost nothing. Raises ModelNotFound, InvalidRequest or Unsupported, and then leaves in
        place what held before.
        """
        self._hold(self._known(adapters))
        self._drop_earlier()

    @contextmanager
    def meanwhile(self, adapters: Sequence[AdapterRef]) -> Iterator[None]:
        """`adapters` hold inside; behind it those that held before, whatever has become of their files.

        Raises as `use`.
        """
        before = self._active
        self._hold(self._known(adapters))
        try:
            yield
        finally:
            self._hold(before)
            self._drop_earlier()

    def _known(self, adapters: Sequence[AdapterRef]) -> list[tuple[str, float]]:
        """The same by PEFT's names, all of them loaded, of which none holds yet."""
        try:
            return [(self._loaded(adapter), adapter.scale) for adapter in adapters]
        except HearthError:
            # To load one makes it active, also where that then fails.
            self._activate([name for name, _ in self._active])
            raise

    def _hold(self, wanted: list[tuple[str, float]]) -> None:
        if wanted == self._active:
            return
        for name, scale in wanted:
            for module in self._model.modules():
                scaling = getattr(module, "scaling", None)
                if isinstance(scaling, dict) and name in scaling:
                    own = self._scales.setdefault((id(module), name), scaling[name])
                    scaling[name] = own * scale
        self._activate([name for name, _ in wanted])
        self._active = wanted

    def _drop_earlier(self) -> None:
        """Free those whose folders have been written anew since, and that do not hold."""
        newest = {stamp[0]: stamp for stamp in self._names}
        holding = {name for name, _ in self._active}
        for stamp, name in list(self._names.items()):
            if stamp != newest[stamp[0]] and name not in holding:
                del self._names[stamp]
                self._scales = {key: scale for key, scale in self._scales.items() if key[1] != name}
                self._model.delete_adapter(name)

    def _activate(self, names: list[str]) -> None:
        if names:
            self._model.enable_adapters()
            self._model.set_adapter(names if len(names) > 1 else names[0])
        elif self._names:
            self._model.disable_adapters()

    def identity(self, adapters: Sequence[AdapterRef]) -> str:
        """Tells this set, with its scales and the content of its files, from every other; empty for none.

        Raises ModelNotFound.
        """
        return " ".join(
            f"{self._fingerprints.of(Path(adapter.name))}*{adapter.scale!r}"
            for adapter in sorted(adapters, key=lambda each: each.name)
        )

    def _loaded(self, adapter: AdapterRef) -> str:
        """The name by which PEFT knows the adapter."""
        stamp = stamp_of(Path(adapter.name))
        name = self._names.get(stamp)
        if name is not None:
            return name
        name = f"adapter_{next(self._numbers)}"
        try:
            self._load(adapter.name, name)
        except ImportError as error:
            raise Unsupported(
                "Adapters need peft, which is not installed here.",
                f"{error}.",
                way_to("transformers"),
                param="adapters",
            ) from None
        except HearthError:
            raise
        except Exception as error:
            # The library's errors are of many types.
            if is_out_of_memory(error):
                raise ran_out(adapter.name, error) from None
            raise InvalidRequest(
                f"The adapter {plain(adapter.name, 200)} does not fit this model.",
                plain(str(error), 300),
                "Use an adapter made for exactly this base model.",
                param="adapters",
            ) from None
        self._names[stamp] = name
        return name

    def _load(self, path: str, name: str) -> None:
        # PEFT would do all that a configuration says, to the base too, which others use.
        read_lora(Path(path))
        with warnings.catch_warnings():
            # That there is more than one adapter is meant to be so.
            warnings.simplefilter("ignore")
            try:
                if is_of_mlx(Path(path)) or _has_expressions(Path(path)):
                    self._model.load_adapter(adapter_name=name, **_as_peft(Path(path), self._model))
                else:
                    self._model.load_adapter(
                        path, adapter_name=name, adapter_kwargs={"local_files_only": True}
                    )
            except Exception:
                if name in getattr(self._model, "peft_config", {}):
                    self._model.delete_adapter(name)
                raise
        for whole, parameter in self._model.named_parameters():
            if name in whole.split("."):
                # On a processor they are the mapped file itself, which others may write anew or cut short.
                parameter.data = parameter.data.clone()


def _as_peft(folder: Path, model: Any) -> dict[str, Any]:
    """The arguments of `load_adapter` for the tensors in `folder`. Raises ModelLoadFailed or Unsupported.

    What is changed, and how much, is told module by module, in no expressions.
    """
    import numpy as np
    import torch
    from peft import LoraConfig

    adapter = read_lora(folder)
    ranks, tensors, factors = {}, {}, {}
    for name in adapter.tensors.slabs:
        factors[name] = np.ascontiguousarray(adapter.tensors.read(name))
        module, mark, _ = name.partition(_DOWN) if _DOWN in name else name.partition(_LOOKED_UP)
        if mark:
            ranks[module] = factors[name].shape[0]
    own = _own_names([module.removeprefix(_PREFIX) for module in ranks], model)
    for name, factor in factors.items():
        module, mark, rest = name.removeprefix(_PREFIX).partition(".lora_")
        tensors[f"{_PREFIX}{own.get(module, module)}{mark}{rest}"] = torch.from_numpy(factor)
    names = {module: re.escape(own[module.removeprefix(_PREFIX)]) for module in ranks}
    return {
        "peft_config": LoraConfig(
            r=adapter.config.rank,
            lora_alpha=adapter.config.alpha,
            target_modules=list(own.values()),
            rank_pattern={names[module]: rank for module, rank in ranks.items()},
            alpha_pattern={
                names[module]: adapter.config.scale(module, rank) * rank for module, rank in ranks.items()
            },
        ),
        "adapter_state_dict": tensors,
    }


def _own_names(modules: Sequence[str], model: Any) -> dict[str, str]:
    """What `model` calls `modules`: an older transformers had the same parts of a name in another order."""
    known = {name for name, _ in model.named_modules()}
    by_parts = {tuple(sorted(name.split("."))): name for name in known}
    return {
        module: module if module in known else by_parts.get(tuple(sorted(module.split("."))), module)
        for module in modules
    }


def _has_expressions(folder: Path) -> bool:
    """Whether PEFT would match patterns of the adapter's configuration, some of which never come to an end."""
    said = said_in(folder)
    patterns = said.get("rank_pattern"), said.get("layers_pattern")
    return any(patterns) or any(
        isinstance(said.get(f"{which}_modules"), str) for which in ("target", "exclude")
    )
