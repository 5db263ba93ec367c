"""Tells one GGUF file's content from another's without reading all of it.

Size and name are not enough: a model that was fine-tuned again may replace its file under the same name, with the same
header and to the same length. So the beginning of every tensor is looked at: other weights differ there too.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from engine.library.gguf import read_header

_SAMPLE = 4096
"""Bytes read of each tensor."""


def fingerprint(*paths: Path) -> str:
    """A hex digest for the files of one model or adapter, in order.

    Raises ModelLoadFailed for what is no GGUF file, OSError where it cannot be read.
    """
    digest = hashlib.blake2b(digest_size=16)
    for path in paths:
        header = read_header(path)
        with path.open("rb") as file:
            begin = min((tensor.offset for tensor in header.tensors), default=header.file_size)
            digest.update(header.file_size.to_bytes(8, "little"))
            digest.update(file.read(begin))
            for tensor in header.tensors:
                file.seek(tensor.offset)
                digest.update(file.read(min(_SAMPLE, tensor.size)))
    return digest.hexdigest()
