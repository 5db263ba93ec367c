"""The prefix tree finds to the token what a naive list of sequences finds, and gives up what was used longest ago."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.runtime.worker.prefix import Cut, Hit, PrefixTree
from tests.tiers import examples

SYSTEM = list(range(400))


def test_two_questions_under_one_system_prompt_share_all_of_it() -> None:
    """They were read as one run each: the match ends in the middle of an edge."""
    tree = PrefixTree()
    tree.add("base", [*SYSTEM, 7001, 7002, 7003], 1)
    assert tree.match("base", [*SYSTEM, 8001, 8002]) == Hit(400, 1)
    added = tree.add("base", [*SYSTEM, 8001, 8002], 2)
    assert added.kept and added.shared == Hit(400, 1)
    assert tree.match("base", [*SYSTEM, 7001, 9]) == Hit(401, 1)
    assert tree.match("base", [*SYSTEM, 8001, 8002, 9]) == Hit(402, 2)
    assert tree.cells == 400 + 3 + 2


def test_one_root_never_serves_another() -> None:
    tree = PrefixTree()
    tree.add("base", [1, 2, 3], 1)
    assert tree.match("pirate", [1, 2, 3]) is None
    assert tree.elsewhere("pirate", [1, 2, 9]) == ("base", 2)
    assert tree.elsewhere("base", [1, 2, 9]) is None


def test_a_longer_sequence_takes_the_place_of_its_beginnings() -> None:
    tree = PrefixTree()
    tree.add("base", [1, 2], 1)
    assert tree.add("base", [1, 2, 3, 4], 2).freed == (1,)
    assert tree.holders == [2]
    again = tree.add("base", [1, 2, 3], 3)
    assert not again.kept and again.shared == Hit(3, 2), "it is served already"


def test_a_state_that_cannot_be_cut_serves_its_own_end_only() -> None:
    tree = PrefixTree()
    tree.add("base", [1, 2, 3, 4], 1, exact=True)
    assert tree.match("base", [1, 2, 3, 9]) is None
    assert tree.known("base", [1, 2, 3, 9]) == 3
    tree.add("base", [1, 2], 2, exact=True)
    assert tree.match("base", [1, 2, 3, 9]) == Hit(2, 2)
    assert tree.match("base", [1, 2, 3, 4, 5]) == Hit(4, 1)
    assert not tree.add("base", [1, 2], 3, exact=True).kept
    assert tree.add("base", [1, 2, 3, 4, 5], 4).freed == (1, 2), "one that can be cut serves them all"


def test_the_longest_unused_goes_first_and_only_by_its_tail() -> None:
    tree = PrefixTree()
    tree.add("base", [1] * 10 + [2] * 50, 1)
    tree.add("base", [1] * 10 + [3] * 5, 2)
    assert tree.match("base", [1] * 10 + [2] * 50) == Hit(60, 1)
    assert tree.evict(3) == [Cut(2, 12)]
    assert tree.evict(2) == [Cut(2, 0)], "its last two tokens are all that only it had"
    assert tree.evict(20) == [Cut(1, 40)]
    assert tree.match("base", [1] * 10 + [2] * 50) == Hit(40, 1)
    assert tree.evict(1000) == [Cut(1, 0)]
    assert tree.cells == 0 and tree.evict(1) == []


def test_a_holder_that_is_spared_stays() -> None:
    tree = PrefixTree()
    tree.add("base", [1], 1)
    tree.add("base", [2], 2)
    assert tree.evict(10, keep=frozenset({1})) == [Cut(2, 0)]


class Naive:
    """The same, by looking at everything."""

    def __init__(self) -> None:
        self.held: dict[int, tuple[str, tuple[int, ...], bool]] = {}

    def longest(self, root: str, tokens: tuple[int, ...]) -> int:
        best = 0
        for other, held, exact in self.held.values():
            if other == root:
                same = next((i for i, (a, b) in enumerate(zip(held, tokens, strict=False)) if a != b), None)
                same = min(len(held), len(tokens)) if same is None else same
                if not exact or same == len(held):
                    best = max(best, same)
        return best

    @property
    def cells(self) -> int:
        return len(
            {(root, held[:end]) for root, held, _ in self.held.values() for end in range(1, len(held) + 1)}
        )


runs = st.lists(st.integers(0, 2), min_size=1, max_size=12).map(tuple)
steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["add", "add exact", "match"]), st.sampled_from("ab"), runs),
        st.tuples(st.sampled_from(["evict", "remove"]), st.integers(1, 15), st.none()),
    ),
    max_size=40,
)


@settings(max_examples=examples(300))
@given(steps)
def test_it_agrees_with_the_naive_list(script: list[tuple]) -> None:
    tree, naive = PrefixTree(), Naive()
    for number, (verb, one, two) in enumerate(script):
        if verb in ("add", "add exact"):
            known, exact = naive.longest(one, two), verb == "add exact"
            added = tree.add(one, two, number, exact=exact)
            assert (added.shared.count if added.shared else 0) == known
            assert added.kept is (known < len(two))
            if added.kept:
                naive.held[number] = (one, two, exact)
            for holder in added.freed:
                root, held, _ = naive.held.pop(holder)
                assert root == one and two[: len(held)] == held and not exact
        elif verb == "match":
            hit = tree.match(one, two)
            assert (hit.count if hit else 0) == naive.longest(one, two)
            if hit is not None:
                root, held, exact = naive.held[hit.holder]
                assert root == one and held[: hit.count] == two[: hit.count]
                assert not exact or len(held) == hit.count
        elif verb == "evict":
            before = tree.cells
            for cut in tree.evict(one):
                root, held, exact = naive.held.pop(cut.holder)
                if cut.count:
                    assert not exact
                    naive.held[cut.holder] = (root, held[: cut.count], exact)
            assert tree.cells == 0 or before - tree.cells >= one
        elif tree.holders:
            holder = tree.holders[one % len(tree)]
            tree.remove(holder)
            del naive.held[holder]
        assert set(tree.holders) == set(naive.held)
        assert tree.cells == naive.cells
        for holder, (root, held, _) in naive.held.items():
            assert tuple(tree.tokens_of(holder)) == held and tree.root_of(holder) == root
