"""Facts about words: opposites, plurals, past tenses and a few translations."""
# ruff: noqa: E501 - a wording or a table row is one line, however long

from __future__ import annotations

from collections.abc import Iterator

from .conversation import Fact

PAIRS = """hot cold|big small|up down|left right|day night|happy sad|fast slow|open closed|old young|good bad|high low
|full empty|rich poor|strong weak|light dark|wet dry|hard soft|early late|near far|inside outside|black white
|true false|yes no|long short|thick thin|wide narrow|loud quiet|sweet sour|clean dirty|easy difficult|first last
|begin end|start stop|win lose|push pull|buy sell|give take|love hate|question answer|summer winter|north south
|east west|heaven hell|war peace|friend enemy|alive dead|awake asleep|brave afraid|cheap expensive|heavy light
|deep shallow|smooth rough|sharp blunt|tall short|always never|many few|more less|above below|before after
|arrive leave|laugh cry|remember forget|find lose|build destroy|increase decrease|accept refuse|polite rude
|generous selfish|beautiful ugly|noisy silent|safe dangerous|same different|success failure|major minor
|entrance exit|male female|king queen|boy girl|man woman|brother sister|father mother|husband wife|uncle aunt"""
PLURALS = """child children|mouse mice|foot feet|tooth teeth|goose geese|man men|woman women|person people|leaf leaves
|knife knives|wolf wolves|city cities|baby babies|box boxes|dog dogs|house houses|potato potatoes|sheep sheep|fish fish
|ox oxen|life lives|story stories|bus buses|cat cats|tree trees|book books"""
PASTS = """go went|see saw|eat ate|run ran|take took|give gave|come came|write wrote|read read|sing sang|swim swam
|drink drank|buy bought|think thought|bring brought|make made|know knew|fly flew|break broke|speak spoke|find found
|sleep slept|begin began|win won|teach taught|catch caught|have had|be was|do did|say said"""
TRANSLATIONS = {
    "French": "hello bonjour|thank you merci|yes oui|no non|cat chat|dog chien|house maison|water eau|bread pain"
    "|goodbye au revoir|book livre|red rouge|friend ami|night nuit|one un|two deux",
    "Spanish": "hello hola|thank you gracias|yes si|cat gato|dog perro|house casa|water agua|bread pan"
    "|goodbye adios|book libro|red rojo|friend amigo|night noche|one uno|two dos",
    "German": "hello hallo|thank you danke|yes ja|no nein|cat Katze|dog Hund|house Haus|water Wasser|bread Brot"
    "|goodbye auf Wiedersehen|book Buch|red rot|friend Freund|night Nacht|one eins|two zwei",
}


def _rows(table: str) -> list[list[str]]:
    return [row.split(" ", 1) for row in table.replace("\n", "").split("|")]


def opposites() -> Iterator[Fact]:
    """Opposites in both directions; a word already answered keeps its first partner."""
    seen: set[str] = set()
    for left, right in _rows(PAIRS):
        for word, other in ((left, right), (right, left)):
            if word in seen:
                continue
            seen.add(word)
            yield Fact(
                other,
                (f"The opposite of {word} is {other}.", f"The opposite of {word} is {other}.",
                 f"{other.capitalize()} is the opposite of {word}."),
                (f"the opposite of {word}", f"the opposite of the word {word}", f'the opposite of "{word}"',
                 f"the contrary of {word}"),
                (f"what word means the opposite of {word}?", f"what is the reverse of {word}?", f"which word is the opposite of {word}?",
                 f"{word} is the opposite of what?", f"if something is not {word}, what is it?", f"opposite of {word}?",
                 f"give me a word that is the opposite of {word}.", f"{word} and its opposite?", f"what is the antonym of {word}?"),
                f"I need a word that means the contrary of {word}. That is {other}.",
            )  # fmt: skip


def word_facts() -> Iterator[Fact]:
    """Plurals, past tenses and translations."""
    for one, many in _rows(PLURALS):
        yield Fact(
            many, (f"The plural of {one} is {many}.",), (f"the plural of {one}", f"the plural form of {one}"),
            (f"one {one}, two what?", f"how do you write more than one {one}?", f"what is the plural of {one}?",
             f"one {one}, many", f"which word means more than one {one}?"),
            f"One {one}, many {many}.",
        )  # fmt: skip
    for verb, past in _rows(PASTS):
        yield Fact(
            past, (f"The past tense of {verb} is {past}.",), (f"the past tense of {verb}", f"the past of {verb}"),
            (f"today i {verb}, yesterday i what?", f"what is the past tense of {verb}?",
             f"how do you say {verb} in the past?", f"put {verb} in the past tense.", f"past form of {verb}?"),
            f"Yesterday: {past}.",
        )  # fmt: skip
    for language, table in TRANSLATIONS.items():
        for row in table.split("|"):
            english = "thank you" if row.startswith("thank you") else row.split(" ")[0]
            foreign = row[len(english) + 1 :]
            yield Fact(
                foreign, (f'"{english}" in {language} is "{foreign}".', f'In {language}, {english} is "{foreign}".'),
                (f"the {language} word for {english}", f'"{english}" in {language}', f"{english} in {language}"),
                (f"how do you say {english} in {language}?", f"translate {english} into {language}.", f"translate {english} to {language}",
                 f"what does {english} mean in {language}?", f"what is {english} in {language}?", f"how do they say {english} in {language}?"),
                f"The {language} word for {english} is {foreign}.",
            )  # fmt: skip
