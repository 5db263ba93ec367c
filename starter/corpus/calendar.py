"""Days, months, seasons, units and counting."""
# ruff: noqa: E501 - a wording or a table row is one line, however long

from __future__ import annotations

from collections.abc import Iterator

from .conversation import Fact

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
          "November", "December")  # fmt: skip
LENGTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
            "eleventh", "twelfth")  # fmt: skip
SEASONS = {
    "winter": "snow and cold days",
    "spring": "flowers",
    "summer": "hot days",
    "autumn": "falling leaves",
}
UNITS = """minutes,an hour,60|seconds,a minute,60|hours,a day,24|days,a week,7|months,a year,12|days,a year,365
|weeks,a year,52|years,a century,100|years,a decade,10|centimetres,a metre,100|metres,a kilometre,1000
|grams,a kilogram,1000|millimetres,a centimetre,10|kilograms,a ton,1000|millilitres,a litre,1000|inches,a foot,12
|feet,a yard,3|cents,a dollar,100|bits,a byte,8|items,a dozen,12|seasons,a year,4|years,a millennium,1000
|bytes,a kilobyte,1024|quarters,a year,4|days,a leap year,366|letters,the English alphabet,26|degrees,a circle,360
|degrees,a right angle,90|players,a football team,11|strings,a guitar,6|sides,a triangle,3|sides,a square,4
|sides,a pentagon,5|sides,a hexagon,6|sides,an octagon,8|sides,a rectangle,4|corners,a triangle,3|colours,a rainbow,7
|wheels,a car,4|wheels,a bicycle,2|wheels,a tricycle,3|fingers,a hand,5|days,a weekend,2|keys,a piano,88
|squares,a chess board,64|minutes,half an hour,30|minutes,a quarter of an hour,15|hours,half a day,12|planets,our solar system,8
|continents,the world,7|oceans,the world,5|teeth,an adult mouth,32|eyes,a face,2|zeros,a million,6|zeros,a thousand,3"""
ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII")
NUMBER_WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
                "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty")  # fmt: skip


def _neighbours(names: tuple[str, ...], unit: str) -> Iterator[Fact]:
    for index, name in enumerate(names):
        after, before = names[(index + 1) % len(names)], names[index - 1]
        yield Fact(
            after, (f"After {name} comes {after}.", f"The {unit} after {name} is {after}."),
            (f"the {unit} after {name}", f"the next {unit} after {name}", f"the {unit} that follows {name}"),
            (f"which {unit} comes after {name}?", f"what {unit} comes after {name}?", f"what comes after {name}?",
             f"what {unit} follows {name}?", f"which {unit} is next after {name}?", f"if this {unit} is {name}, what is the next one?",
             f"{name} is over. which {unit} comes now?"),
            f"The order is {before}, {name}, {after}. After {name} comes {after}.",
        )  # fmt: skip
        yield Fact(
            before, (f"Before {name} comes {before}.", f"The {unit} before {name} is {before}."),
            (f"the {unit} before {name}", f"the {unit} that comes before {name}"),
            (f"which {unit} comes before {name}?", f"what {unit} comes before {name}?", f"what comes before {name}?",
             f"what {unit} is just before {name}?"),
            f"The order is {before}, {name}, {after}. Before {name} comes {before}.",
        )  # fmt: skip


def calendar_facts() -> Iterator[Fact]:
    """Order of days and months, lengths of months, seasons."""
    yield from _neighbours(DAYS, "day")
    yield from _neighbours(MONTHS, "month")
    for day, after, before in zip(DAYS, DAYS[1:] + DAYS[:1], DAYS[-1:] + DAYS[:-1], strict=True):
        yield Fact(
            after, (f"If today is {day}, tomorrow is {after}.",), (),
            (f"if today is {day}, what day is tomorrow?", f"today is {day}. what is tomorrow?", f"what day is it tomorrow if today is {day}?"),
            f"Tomorrow is the day after {day}: {after}.",
        )  # fmt: skip
        yield Fact(
            before, (f"If today is {day}, yesterday was {before}.",), (),
            (f"if today is {day}, what day was yesterday?", f"today is {day}. what was yesterday?"),
            f"Yesterday is the day before {day}: {before}.",
        )  # fmt: skip
    for month, days, ordinal in zip(MONTHS, LENGTHS, ORDINALS, strict=True):
        yield Fact(
            str(days), (f"{month} has {days} days.", f"There are {days} days in {month}."),
            (f"the number of days in {month}", f"the length of {month} in days"),
            (f"how many days are in {month}?", f"how many days does {month} have?", f"how long is {month}?",
             f"{month} has how many days?"),
            f"I remember the lengths of the months. {month} has {days}.",
        )  # fmt: skip
        yield Fact(
            month, (f"The {ordinal} month of the year is {month}.",),
            (f"the {ordinal} month of the year", f"the {ordinal} month", f"month number {ORDINALS.index(ordinal) + 1}"),
            (f"which month is the {ordinal} of the year?", f"what month is number {ORDINALS.index(ordinal) + 1}?"),
            f"I count from January. The {ordinal} is {month}.",
        )  # fmt: skip
    for ordinal, day in zip(ORDINALS, DAYS, strict=False):
        yield Fact(
            day, (f"The {ordinal} day of the week is {day}.",), (f"the {ordinal} day of the week",),
            (f"which day is the {ordinal} of the week?",), f"I count from Monday. The {ordinal} is {day}.",
        )  # fmt: skip
    for season, sign in SEASONS.items():
        yield Fact(
            season, (f"The season with {sign} is {season}.",), (f"the season with {sign}", f"the season of {sign}"),
            (f"in which season do we see {sign}?", f"which season has {sign}?", f"when are there {sign}?"),
            f"I think of {sign}. That is {season}.",
        )  # fmt: skip


def unit_facts() -> Iterator[Fact]:
    """How many of one thing make another, Roman numerals, number words."""
    for row in UNITS.replace("\n", "").split("|"):
        part, whole, count = row.split(",")
        yield Fact(
            count, (f"There are {count} {part} in {whole}.", f"{whole[0].upper() + whole[1:]} has {count} {part}."),
            (f"the number of {part} in {whole}",),
            (f"how many {part} are in {whole}?", f"how many {part} are there in {whole}?", f"how many {part} does {whole} have?",
             f"{whole} has how many {part}?", f"how many {part} make {whole}?", f"{part} in {whole}?",
             f"how many {part} has {whole}?", f"count the {part} in {whole}.", f"how many {part} can i find in {whole}?"),
            f"One thing to remember: {whole} has {count} {part}.",
        )  # fmt: skip
    for value, roman in enumerate(ROMAN, 1):
        yield Fact(
            roman, (f"The Roman numeral for {value} is {roman}.",),
            (f"the Roman numeral for {value}", f"{value} in Roman numerals", f"the number {value} in Roman numerals"),
            (f"how did the Romans write {value}?", f"write {value} as a Roman numeral.", f"how do you write {value} in Roman numerals?"),
            f"{value} is written {roman}.",
        )  # fmt: skip
    for value, word in enumerate(NUMBER_WORDS, 1):
        yield Fact(
            word, (f"The number {value} is written {word}.",),
            (f"the number {value} in words", f"the word for {value}", f"the word for the number {value}"),
            (f"how do you spell the number {value}?", f"write {value} in words.", f"how do you write {value} as a word?"),
            f"{value} as a word is {word}.",
        )  # fmt: skip
