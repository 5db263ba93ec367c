"""What the parts of `RemoteEngine` share: a question to the other side, carried over to the link's loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

from engine.local_loop import LocalLoop
from engine.remote.address import Address

if TYPE_CHECKING:
    from engine.remote.link import Link

_T = TypeVar("_T")


class Asking(LocalLoop):
    """A thread and loop of its own with the link on it, which `LocalLoop` starts at the first call."""

    address: Address

    def _open_link(self, address: Address) -> None:
        self.address = address
        self._open_loop(threaded=True)
        self._made: Link | None = None

    @property
    def _link(self) -> Link:
        """On the link's loop."""
        if self._made is None:
            from engine.remote.link import Link

            self._made = Link(self.address)
        return self._made

    def _loop_began(self) -> None:
        pass

    @overload
    async def _get(self, path: str, kind: type[_T]) -> _T: ...
    @overload
    async def _get(self, path: str, kind: Any) -> Any: ...
    async def _get(self, path: str, kind: Any) -> Any:
        async def there() -> Any:
            return await self._link.ask("GET", path, kind)

        return await self._on_loop(there())

    @overload
    async def _post(self, path: str, kind: type[_T], body: object = {}, *, patient: bool = False) -> _T: ...
    @overload
    async def _post(self, path: str, kind: Any, body: object = {}, *, patient: bool = False) -> Any: ...
    async def _post(self, path: str, kind: Any, body: object = {}, *, patient: bool = False) -> Any:
        async def there() -> Any:
            return await self._link.ask("POST", path, kind, body, patient=patient)

        return await self._on_loop(there())

    async def _said(self, path: str, body: object, *, patient: bool = False) -> Any:
        """The one value of an answer that is a table of one entry."""
        found: dict[str, Any] = await self._post(path, dict[str, Any], body, patient=patient)
        return next(iter(found.values()))
