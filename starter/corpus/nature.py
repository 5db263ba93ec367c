"""Animals, colours, planets, elements and other facts of nature."""
# ruff: noqa: E501 - a wording or a table row is one line, however long

from __future__ import annotations

from collections.abc import Iterator

from .conversation import Fact

SOUNDS = {
    "dog": "barks", "cat": "meows", "cow": "moos", "sheep": "bleats", "pig": "oinks", "duck": "quacks",
    "lion": "roars", "horse": "neighs", "bee": "buzzes", "owl": "hoots", "snake": "hisses", "wolf": "howls",
    "frog": "croaks", "rooster": "crows", "mouse": "squeaks", "bird": "sings", "donkey": "brays",
}  # fmt: skip
YOUNG = {
    "dog": "puppy", "cat": "kitten", "cow": "calf", "sheep": "lamb", "pig": "piglet", "duck": "duckling",
    "horse": "foal", "lion": "cub", "bear": "cub", "goat": "kid", "chicken": "chick", "kangaroo": "joey",
    "swan": "cygnet", "frog": "tadpole", "deer": "fawn", "goose": "gosling", "wolf": "pup", "elephant": "calf",
}  # fmt: skip
KINDS = {
    "mammal": "dog cat cow horse whale dolphin bat lion elephant mouse bear rabbit tiger monkey",
    "bird": "eagle owl penguin duck swan parrot chicken ostrich robin",
    "fish": "shark salmon tuna trout goldfish",
    "reptile": "snake lizard crocodile turtle",
    "amphibian": "frog toad newt",
    "insect": "bee ant butterfly fly beetle mosquito",
}
LEGS = {
    "dog": "four", "cat": "four", "horse": "four", "cow": "four", "elephant": "four", "spider": "eight",
    "bee": "six", "ant": "six", "beetle": "six", "bird": "two", "chicken": "two", "snake": "zero", "human": "two",
    "octopus": "eight", "crab": "ten",
}  # fmt: skip
HOMES = {
    "bird": "a nest", "bee": "a hive", "spider": "a web", "rabbit": "a burrow", "horse": "a stable", "dog": "a kennel",
    "fox": "a den", "bear": "a cave", "fish": "water", "pig": "a sty", "lion": "a den", "cow": "a barn",
}  # fmt: skip
FOODS = {
    "cow": "grass", "panda": "bamboo", "rabbit": "carrots", "lion": "meat", "squirrel": "nuts", "bee": "nectar",
    "horse": "hay", "monkey": "bananas", "mouse": "cheese and seeds", "koala": "eucalyptus leaves",
}  # fmt: skip
GROUPS = {
    "wolves": "pack", "sheep": "flock", "cows": "herd", "fish": "school", "bees": "swarm", "lions": "pride",
    "birds": "flock", "elephants": "herd",
}  # fmt: skip
COLOURS = {
    "the sky": "blue", "grass": "green", "snow": "white", "blood": "red", "a banana": "yellow", "a lemon": "yellow",
    "coal": "black", "an orange": "orange", "a carrot": "orange", "a strawberry": "red", "a tomato": "red",
    "milk": "white", "chocolate": "brown", "the sun": "yellow", "a ripe cherry": "red", "an elephant": "grey",
    "a flamingo": "pink", "a pig": "pink", "a polar bear": "white", "the sea": "blue", "a leaf in summer": "green",
    "a cucumber": "green", "salt": "white", "the night sky": "black", "a ruby": "red", "an emerald": "green",
    "a sapphire": "blue", "gold": "yellow", "silver": "grey", "coffee": "brown", "a stop sign": "red",
    "spinach": "green", "a crow": "black", "a plum": "purple", "a pumpkin": "orange", "a frog": "green",
    "rice": "white", "an aubergine": "purple", "a lobster after cooking": "red", "wood": "brown",
}  # fmt: skip
MIXES = {
    ("blue", "yellow"): "green", ("red", "yellow"): "orange", ("red", "blue"): "purple", ("red", "white"): "pink",
    ("black", "white"): "grey",
}  # fmt: skip
SYMBOLS = {
    "hydrogen": "H", "oxygen": "O", "carbon": "C", "nitrogen": "N", "gold": "Au", "silver": "Ag", "iron": "Fe",
    "copper": "Cu", "sodium": "Na", "helium": "He", "calcium": "Ca", "lead": "Pb", "water": "H2O",
    "table salt": "NaCl", "zinc": "Zn", "potassium": "K",
}  # fmt: skip
PLANETS = ("Mercury", "Venus", "Earth", "Mars", "Jupiter", "Saturn", "Uranus", "Neptune")
ORDER = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")


def a(noun: str) -> str:
    """The noun with its indefinite article."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def animals() -> Iterator[Fact]:
    """Sounds, young, classes, legs, homes, food and groups."""
    for name, sound in SOUNDS.items():
        verb = sound.removesuffix("es") if sound in ("buzzes", "hisses") else sound.removesuffix("s")
        yield Fact(
            sound, (f"{a(name).capitalize()} {sound}.", f"The {name} {sound}."),
            (f"the sound of {a(name)}", f"the sound that {a(name)} makes"),
            (f"what sound does {a(name)} make?", f"what does {a(name)} say?", f"which noise does {a(name)} make?",
             f"how does {a(name)} sound?", f"what noise do you hear from {a(name)}?", f"which animal sound is made by the {name}?"),
            f"The animal is the {name}. It can {verb}.",
        )  # fmt: skip
    for name, young in YOUNG.items():
        yield Fact(
            young, (f"A baby {name} is called a {young}.", f"The young of {a(name)} is a {young}."),
            (f"a baby {name}", f"the name of a baby {name}", f"the word for a young {name}"),
            (f"what is a baby {name} called?", f"what do you call a baby {name}?", f"how is a young {name} called?",
             f"what is the young of {a(name)}?", f"what is the child of {a(name)} called?", f"a baby {name} is called"),
            f"The young of the {name} has its own word: {young}.",
        )  # fmt: skip
    for kind, names in KINDS.items():
        for name in names.split():
            yield Fact(
                kind, (f"{a(name).capitalize()} is {a(kind)}.", f"The {name} is {a(kind)}."),
                (f"the class of animal of {a(name)}",),
                (f"what kind of animal is {a(name)}?", f"is {a(name)} a mammal, a bird, a fish or an insect?",
                 f"what type of animal is {a(name)}?", f"which class of animals does the {name} belong to?",
                 f"what sort of animal is {a(name)}?", f"{a(name)} is what kind of animal?"),
                f"I think about what the {name} is like. It is {a(kind)}.",
            )  # fmt: skip
    for name, count in LEGS.items():
        limb = "arms" if name == "octopus" else "legs"
        yield Fact(
            count, (f"{a(name).capitalize()} has {count} {limb}.",),
            (f"the number of {limb} of {a(name)}",),
            (f"how many {limb} does {a(name)} have?", f"how many {limb} has {a(name)}?",
             f"{a(name)} has how many {limb}?", f"{limb} of {a(name)}: how many?", f"count the {limb} of {a(name)}."),
            f"I count the {limb} of the {name}: {count}.",
        )  # fmt: skip
    for name, home in HOMES.items():
        yield Fact(
            home, (f"{a(name).capitalize()} lives in {home}.",), (f"the home of {a(name)}",),
            (f"where does {a(name)} live?", f"in what does {a(name)} live?", f"what is the home of {a(name)} called?",
             f"where do you find {a(name)} at home?"),
            f"The home of the {name} is {home}.",
        )  # fmt: skip
    for name, food in FOODS.items():
        yield Fact(
            food, (f"{a(name).capitalize()} likes to eat {food}.",), (f"the food of {a(name)}",),
            (f"what does {a(name)} eat?", f"what do you feed {a(name)}?", f"which food does {a(name)} like?",
             f"what is the favourite food of {a(name)}?"),
            f"The {name} eats {food}.",
        )  # fmt: skip
    for names, group in GROUPS.items():
        yield Fact(
            group, (f"A group of {names} is called a {group}.",), (f"a group of {names}", f"the word for a group of {names}"),
            (f"what is a group of {names} called?", f"what do you call a group of {names}?",
             f"many {names} together are called a what?"),
            f"Many {names} together are a {group}.",
        )  # fmt: skip


def colours() -> Iterator[Fact]:
    """Colours of things, and mixing."""
    for thing, colour in COLOURS.items():
        bare = thing.removeprefix("an ").removeprefix("a ").removeprefix("the ")
        yield Fact(
            colour, (f"{thing[0].upper() + thing[1:]} is {colour}.", f"The colour of {thing} is {colour}."),
            (f"the colour of {thing}", f"the color of {thing}", f"{bare} colour"),
            (f"what colour is {thing}?", f"what color is {thing}?", f"which colour does {thing} have?",
             f"which color is {thing}?", f"{thing} is what colour?", f"what colour does {thing} have?",
             f"i want to paint {thing}. which colour do i need?", f"how does {thing} look, what colour?",
             f"{thing} has the colour", f"of what colour is {thing}?"),
            f"I picture {thing}. The colour is {colour}.",
        )  # fmt: skip
    for (one, two), mix in MIXES.items():
        for x, y in ((one, two), (two, one)):
            yield Fact(
                mix, (f"If you mix {x} and {y}, you get {mix}.", f"{x.capitalize()} and {y} make {mix}."),
                (f"the mix of {x} and {y}", f"the colour you get from {x} and {y}"),
                (f"what do you get when you mix {x} and {y}?", f"which colour do {x} and {y} make?",
                 f"what colour is {x} mixed with {y}?", f"{x} and {y} make which colour?",
                 f"i mix {x} paint with {y} paint. what colour comes out?", f"{x} plus {y} paint gives"),
                f"Mixing {x} and {y} gives {mix}.",
            )  # fmt: skip


def science() -> Iterator[Fact]:
    """Symbols of elements, and the planets."""
    for name, symbol in SYMBOLS.items():
        yield Fact(
            symbol, (f"The chemical symbol for {name} is {symbol}.",),
            (f"the symbol for {name}", f"the chemical symbol of {name}", f"the chemical formula of {name}"),
            (f"what is the chemical symbol for {name}?", f"which symbol does {name} have?",
             f"how do chemists write {name}?", f"how is {name} written in chemistry?"),
            f"In chemistry {name} is written {symbol}.",
        )  # fmt: skip
    for planet, order in zip(PLANETS, ORDER, strict=True):
        yield Fact(
            planet, (f"The {order} planet from the sun is {planet}.", f"{planet} is the {order} planet from the sun."),
            (f"the {order} planet from the sun", f"the {order} planet", f"planet number {ORDER.index(order) + 1}"),
            (f"which planet is the {order} from the sun?", f"what planet is {order} from the sun?",
             f"counting from the sun, which planet is {order}?"),
            f"I count the planets from the sun. The {order} is {planet}.",
        )  # fmt: skip
