"""What a page sends: fields and files of a form, within bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from litestar.datastructures import UploadFile
from litestar.exceptions import HTTPException

from engine.errors import HearthError, InvalidRequest

if TYPE_CHECKING:
    from litestar import Request

LONGEST_TEXT: Final = 4 * 2**20
"""Characters of one field."""


class Form:
    """Made with `Form.of`, which reads the body."""

    def __init__(self, fields: dict[str, str], files: list[tuple[str, bytes]]) -> None:
        self._fields, self.files = fields, files

    @classmethod
    async def of(cls, request: Request[Any, Any, Any]) -> Form:
        """Raises InvalidRequest for what is no form, TooLarge."""
        fields: dict[str, str] = {}
        files: list[tuple[str, bytes]] = []
        try:
            sent = await request.form()
            for name, value in sent.multi_items():
                if isinstance(value, UploadFile):
                    data = await value.read()
                    if data:
                        files.append((value.filename or "picture", data))
                else:
                    fields[name] = str(value)
        except (HearthError, HTTPException):
            raise
        except Exception as error:
            # Whatever a body that is no form makes its reader raise.
            raise InvalidRequest("The form cannot be read.", f"{type(error).__name__}.") from None
        for name, text in fields.items():
            if len(text) > LONGEST_TEXT:
                raise InvalidRequest("That is too long.", f"At most {LONGEST_TEXT:,} characters.", param=name)
        return cls(fields, files)

    def text(self, name: str) -> str:
        """A field; empty where it was not sent. Line ends are as everywhere but in forms."""
        return self._fields.get(name, "").replace("\r\n", "\n")
