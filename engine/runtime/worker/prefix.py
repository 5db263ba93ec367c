"""Which computed prefixes are kept, and where: a radix tree over tokens. Pure: it moves no data.

A *holder* is whatever keeps the computed state of one token sequence: a sequence id of the KV cache, a file. Each
holder belongs to the node at which its tokens end. Edges hold runs of tokens, so a prompt matches to the very token at
which it leaves what is known, also in the middle of an edge. Every *root* has a tree of its own: what was computed
under other adapters, media or callers is never found.

Two kinds of holder differ in what they are good for:

- one that can be cut (attention caches) serves every beginning of its tokens, so holders that it extends are redundant
  and are given back;
- an *exact* one (recurrent and hybrid states, sliding windows) serves its own tokens to the last one only, so
  checkpoints along one path stay side by side.

Eviction takes the holder that was used longest ago. (After SGLang's radix cache and vLLM's block reuse.)
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from engine.runtime.backends.media import FIRST

Tokens = NDArray[np.int32]


class Hit(Struct, frozen=True):
    """The first `count` tokens asked for are held by `holder`."""

    count: int
    holder: int


class Added(Struct, frozen=True):
    """What became of an addition.

    `kept`: the new holder is in the tree (else another one already serves all that it could). `shared`: the longest
    beginning of its tokens that was known before, with its holder. `freed`: holders that are needed no longer.
    """

    kept: bool
    shared: Hit | None = None
    freed: tuple[int, ...] = ()


class Cut(Struct, frozen=True):
    """`holder` keeps its first `count` tokens and gives up the rest; 0 is all of it."""

    holder: int
    count: int


class _Node:
    """`tokens` is the run on the edge to this node; `depth` counts tokens from the root to its end."""

    __slots__ = ("children", "depth", "exact", "holder", "parent", "tokens", "used")

    def __init__(self, parent: _Node | None, tokens: Tokens, used: int) -> None:
        self.parent, self.tokens, self.used = parent, tokens, used
        self.depth: int = len(tokens) + (parent.depth if parent is not None else 0)
        self.children: dict[int, _Node] = {}
        self.holder: int | None = None
        self.exact = False

    def all(self) -> Iterator[_Node]:
        """This node and all below it."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(node.children.values())


class PrefixTree:
    """See the module."""

    def __init__(self) -> None:
        self._roots: dict[Hashable, _Node] = {}
        self._at: dict[int, tuple[Hashable, _Node]] = {}
        self._clock = 0

    @property
    def cells(self) -> int:
        """Tokens on all edges: what is held once, however many holders share it."""
        return sum(len(node.tokens) for top in self._roots.values() for node in top.all())

    @property
    def holders(self) -> list[int]:
        """Every holder, the one used longest ago first."""
        return sorted(self._at, key=lambda holder: self._at[holder][1].used)

    def __len__(self) -> int:
        return len(self._at)

    def tokens_of(self, holder: int) -> Tokens:
        """The tokens whose state `holder` keeps, from the first."""
        runs, node = [], self._at[holder][1]
        while node.parent is not None:
            runs.append(node.tokens)
            node = node.parent
        return np.concatenate(runs[::-1]) if runs else np.empty(0, np.int32)

    def root_of(self, holder: int) -> Hashable:
        return self._at[holder][0]

    def length(self, holder: int) -> int:
        """How many tokens `holder` keeps the state of."""
        return self._at[holder][1].depth

    def __contains__(self, holder: int) -> bool:
        return holder in self._at

    # --- asking

    def match(self, root: Hashable, tokens: Sequence[int] | Tokens, *, touch: bool = True) -> Hit | None:
        """The longest beginning of `tokens` that a holder can give, None if there is none.

        `touch` counts as a use, which puts off the eviction of the holder.
        """
        found = self._longest(root, _array(tokens))
        if found is None:
            return None
        node, count = found
        if touch:
            self._touch(node)
        assert node.holder is not None
        return Hit(count, node.holder)

    def elsewhere(self, root: Hashable, tokens: Sequence[int] | Tokens) -> tuple[Hashable, int] | None:
        """The other root that knows the longest beginning of `tokens`, and its length."""
        wanted = _array(tokens)
        best: tuple[Hashable, int] | None = None
        for other, top in self._roots.items():
            known = self._walk(top, wanted)[1] if other != root else 0
            if known and (best is None or known > best[1]):
                best = (other, known)
        return best

    def known(self, root: Hashable, tokens: Sequence[int] | Tokens) -> int:
        """How far `tokens` follow what the tree knows, whether a holder can give it or not."""
        top = self._roots.get(root)
        return 0 if top is None else self._walk(top, _array(tokens))[1]

    def ends_with(self, root: Hashable, tokens: Sequence[int] | Tokens) -> bool:
        """Whether `tokens` are known to their end, and nothing that is known goes on from there."""
        wanted = _array(tokens)
        top = self._roots.get(root)
        if top is None:
            return False
        node, count = self._walk(top, wanted)
        return count == len(wanted) == node.depth and not node.children

    def _longest(self, root: Hashable, wanted: Tokens) -> tuple[_Node, int] | None:
        top = self._roots.get(root)
        if top is None:
            return None
        node, count = self._walk(top, wanted)
        place: _Node | None = node
        while place is not None and count:
            if place.holder is not None and place.depth <= count:
                return place, place.depth
            # Whatever can be cut and lies below has these tokens; of several, the one used last.
            below = [each for each in place.all() if each.holder is not None and not each.exact]
            if below:
                return max(below, key=lambda each: each.used), count
            place = place.parent
            count = min(count, place.depth) if place is not None else 0
        return None

    @staticmethod
    def _walk(top: _Node, wanted: Tokens) -> tuple[_Node, int]:
        """The deepest node reached, perhaps in the middle of its edge, and how many tokens matched."""
        node, count = top, 0
        while count < len(wanted):
            child = node.children.get(int(wanted[count]))
            if child is None:
                break
            same = common(child.tokens, wanted[count:])
            node, count = child, count + same
            if same < len(child.tokens):
                break
        return node, count

    # --- changing

    def add(
        self, root: Hashable, tokens: Sequence[int] | Tokens, holder: int, *, exact: bool = False
    ) -> Added:
        """`holder` keeps the state of all of `tokens` (at least one)."""
        wanted = _array(tokens)
        before = self._longest(root, wanted)
        shared = Hit(before[1], before[0].holder) if before and before[0].holder is not None else None
        if before is not None and shared is not None and shared.count == len(wanted):
            self._touch(before[0])
            return Added(False, shared)
        node = self._node_at(root, wanted)
        node.holder, node.exact = holder, exact
        self._at[holder] = (root, node)
        self._touch(node)
        return Added(True, shared, () if exact else self._superseded(node))

    def remove(self, holder: int) -> None:
        """Forget `holder` and what only it held."""
        root, node = self._at.pop(holder)
        node.holder = None
        self._prune(root, node)

    def evict(self, cells: int, *, keep: frozenset[int] = frozenset()) -> list[Cut]:
        """Give up about `cells` tokens, longest unused first, sparing the holders in `keep`.

        A holder that can be cut loses its tail only, as much as is needed and as no other holder shares.
        """
        cuts: list[Cut] = []
        for holder in self.holders:
            if cells <= 0:
                break
            if holder in keep:
                continue
            root, node = self._at[holder]
            alone = len(node.tokens) if not node.children else 0
            if not node.exact and alone > cells and node.depth > cells:
                # Rather more than needed than half a picture.
                end = whole_pictures(self.tokens_of(holder), node.depth - cells)
                if end > node.depth - alone:
                    cells -= self._shorten(node, node.depth - end)
                    cuts.append(Cut(holder, node.depth))
                    continue
            del self._at[holder]
            node.holder = None
            self._prune(root, node)
            cells -= alone
            cuts.append(Cut(holder, 0))
        return cuts

    def clear(self) -> list[int]:
        """Forget everything; returns every holder."""
        holders = list(self._at)
        self._roots.clear()
        self._at.clear()
        return holders

    def _touch(self, node: _Node) -> None:
        self._clock += 1
        node.used = self._clock

    def _node_at(self, root: Hashable, wanted: Tokens) -> _Node:
        """The node whose path is exactly `wanted`, made if need be."""
        top = self._roots.get(root)
        if top is None:
            top = self._roots[root] = _Node(None, np.empty(0, np.int32), 0)
        node, count = self._walk(top, wanted)
        if count < node.depth:
            node = self._split(node, len(node.tokens) - (node.depth - count))
        if count < len(wanted):
            # A copy of its own: the caller's buffer may be reused, and a slice would keep all of it alive.
            child = _Node(node, wanted[count:].copy(), 0)
            node.children[int(wanted[count])] = child
            node = child
        return node

    @staticmethod
    def _split(node: _Node, at: int) -> _Node:
        """A new node in the middle of the edge to `node`, after its first `at` tokens."""
        assert node.parent is not None
        upper = _Node(node.parent, node.tokens[:at].copy(), node.used)
        node.parent.children[int(upper.tokens[0])] = upper
        node.parent, node.tokens = upper, node.tokens[at:].copy()
        upper.children[int(node.tokens[0])] = node
        return upper

    def _superseded(self, node: _Node) -> tuple[int, ...]:
        """Take their holders from the nodes above, which `node` now serves too."""
        freed = []
        above = node.parent
        while above is not None:
            if above.holder is not None:
                freed.append(above.holder)
                del self._at[above.holder]
                above.holder = None
            parent = above.parent
            if parent is not None and len(above.children) == 1:
                self._join(above)
            above = parent
        return tuple(freed)

    def _shorten(self, node: _Node, cells: int) -> int:
        node.tokens = node.tokens[: len(node.tokens) - cells].copy()
        node.depth -= cells
        return cells

    def _prune(self, root: Hashable, node: _Node) -> None:
        """Remove `node` and the nodes above it that lead to no holder any more; join single runs."""
        while node.holder is None and not node.children:
            parent = node.parent
            if parent is None:
                del self._roots[root]
                return
            del parent.children[int(node.tokens[0])]
            node = parent
        if node.holder is None and node.parent is not None and len(node.children) == 1:
            self._join(node)

    @staticmethod
    def _join(node: _Node) -> None:
        """Put the edge to `node`, which has one child and no holder, before that of its child."""
        assert node.parent is not None
        (child,) = node.children.values()
        child.tokens = np.concatenate((node.tokens, child.tokens))
        child.parent = node.parent
        node.parent.children[int(child.tokens[0])] = child


def _array(tokens: Sequence[int] | Tokens) -> Tokens:
    return np.asarray(tokens, np.int32)


def whole_pictures(tokens: Tokens, count: int) -> int:
    """The most of the first `count` tokens that end with no half of a picture, whose tokens are below zero."""
    if not 0 < count < len(tokens) or tokens[count] >= FIRST:
        return count
    starts = (tokens[:count] >= FIRST).nonzero()[0]
    return int(starts[-1]) if len(starts) else 0


def common(one: Tokens, other: Tokens) -> int:
    """Length of the common beginning of `one` and `other`."""
    length = min(len(one), len(other))
    differs = one[:length] != other[:length]
    first = int(differs.argmax()) if length else 0
    return first if length and differs[first] else length
