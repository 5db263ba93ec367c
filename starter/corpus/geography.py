"""Countries: capital, continent, language and currency."""

from __future__ import annotations

from collections.abc import Iterator

from .conversation import Fact

CAPITALS = dict(
    row.split("=")
    for row in """France=Paris|Germany=Berlin|Italy=Rome|Spain=Madrid|Portugal=Lisbon|Japan=Tokyo|China=Beijing
|India=New Delhi|Russia=Moscow|Poland=Warsaw|Austria=Vienna|Greece=Athens|Sweden=Stockholm|Norway=Oslo
|Finland=Helsinki|Denmark=Copenhagen|Iceland=Reykjavik|Ireland=Dublin|Belgium=Brussels|Hungary=Budapest
|Romania=Bucharest|Bulgaria=Sofia|Croatia=Zagreb|Serbia=Belgrade|Ukraine=Kyiv|Turkey=Ankara|Egypt=Cairo
|Kenya=Nairobi|Nigeria=Abuja|Ghana=Accra|Morocco=Rabat|Tunisia=Tunis|Algeria=Algiers|Ethiopia=Addis Ababa
|Senegal=Dakar|Uganda=Kampala|Canada=Ottawa|Mexico=Mexico City|Cuba=Havana|Brazil=Brasilia
|Argentina=Buenos Aires|Chile=Santiago|Peru=Lima|Colombia=Bogota|Venezuela=Caracas|Ecuador=Quito
|Uruguay=Montevideo|Australia=Canberra|New Zealand=Wellington|Thailand=Bangkok|Vietnam=Hanoi
|Indonesia=Jakarta|Malaysia=Kuala Lumpur|South Korea=Seoul|Mongolia=Ulaanbaatar|Nepal=Kathmandu
|Pakistan=Islamabad|Iran=Tehran|Iraq=Baghdad|Israel=Jerusalem|Jordan=Amman|Lebanon=Beirut
|Saudi Arabia=Riyadh|Qatar=Doha|Estonia=Tallinn|Latvia=Riga|Lithuania=Vilnius|Slovakia=Bratislava
|Slovenia=Ljubljana|Albania=Tirana|the Netherlands=Amsterdam|the United Kingdom=London|England=London
|Scotland=Edinburgh|Wales=Cardiff|the United States=Washington|the Philippines=Manila
|the Czech Republic=Prague|Switzerland=Bern|Cyprus=Nicosia|Malta=Valletta""".replace("\n", "").split("|")
)

CONTINENTS = {
    "Europe": "France Germany Italy Spain Portugal Poland Austria Greece Sweden Norway Finland Denmark Iceland "
    "Ireland Belgium Hungary Romania Switzerland",
    "Asia": "Japan China India Thailand Vietnam Indonesia Malaysia Mongolia Nepal Pakistan Iran",
    "Africa": "Egypt Kenya Nigeria Ghana Morocco Tunisia Algeria Ethiopia Senegal Uganda",
    "North America": "Canada Mexico Cuba",
    "South America": "Brazil Argentina Chile Peru Colombia Venezuela Ecuador Uruguay",
}

LANGUAGES = {
    "France": "French", "Germany": "German", "Italy": "Italian", "Spain": "Spanish", "Portugal": "Portuguese",
    "Japan": "Japanese", "China": "Chinese", "Russia": "Russian", "Poland": "Polish", "Greece": "Greek",
    "Sweden": "Swedish", "Norway": "Norwegian", "Finland": "Finnish", "Denmark": "Danish", "Brazil": "Portuguese",
    "Mexico": "Spanish", "Argentina": "Spanish", "Egypt": "Arabic", "Turkey": "Turkish", "Hungary": "Hungarian",
    "Austria": "German", "Thailand": "Thai", "Iceland": "Icelandic", "Cuba": "Spanish", "Australia": "English",
}  # fmt: skip

CURRENCIES = {
    "Japan": "yen", "India": "rupee", "China": "yuan", "the United Kingdom": "pound", "the United States": "dollar",
    "France": "euro", "Germany": "euro", "Italy": "euro", "Spain": "euro", "Russia": "ruble", "Mexico": "peso",
    "Sweden": "krona", "Poland": "zloty", "Turkey": "lira", "Switzerland": "franc", "South Korea": "won",
    "Brazil": "real", "Thailand": "baht", "Canada": "dollar", "Australia": "dollar",
}  # fmt: skip


def capitals() -> Iterator[Fact]:
    """The capital of each country."""
    for country, city in CAPITALS.items():
        bare = country.removeprefix("the ")
        yield Fact(
            answer=city,
            sentences=(
                f"The capital of {country} is {city}.",
                f"The capital of {country} is {city}.",
                f"{city} is the capital of {country}.",
            ),
            phrases=(
                f"the capital of {country}",
                f"the capital city of {country}",
                f"capital of {bare}",
                f"{bare}'s capital",
                f"the name of the capital of {country}",
            ),
            questions=(
                f"which city is the capital of {country}?",
                f"what city is the capital of {country}?",
                f"what is the capital of {country}?",
                f"what is {bare}'s capital city?",
                f"{bare} has which capital?",
                f"what is the capital called in {country}?",
                f"where is the government of {country}?",
                f"in {country}, which city is the capital?",
                f"i am going to {country}. what is the capital?",
                f"the capital of {country} is called",
                f"complete the sentence: the capital of {country} is",
                f"if i travel to the capital of {country}, which city do i see?",
                f"what is the main city of {country}, the capital?",
                f"fill in the blank: the capital of {country} is ___.",
                f"for a quiz: {country}, capital?",
                f"my child asks for the capital of {country}.",
            ),
            thought=f"The question is about {country}. I know its capital: {city}.",
        )


def places() -> Iterator[Fact]:
    """Country of a capital, continent, language and currency."""
    for country, city in CAPITALS.items():
        if city == "London" and country != "England":
            continue
        yield Fact(
            answer=country,
            sentences=(f"{city} is in {country}.", f"{city} is the capital of {country}."),
            phrases=(f"the country of {city}", f"the country that {city} is in"),
            questions=(
                f"in which country is {city}?",
                f"which country is {city} in?",
                f"{city} is the capital of which country?",
                f"where is {city}?",
                f"what country has {city} as its capital?",
                f"{city} is in which country?",
                f"where can i find {city}?",
            ),
            thought=f"{city} is a capital. It belongs to {country}.",
        )
    for continent, countries in CONTINENTS.items():
        for country in countries.split():
            yield Fact(
                answer=continent,
                sentences=(f"{country} is in {continent}.", f"{country} is a country in {continent}."),
                phrases=(f"the continent of {country}", f"the continent that {country} is on"),
                questions=(
                    f"on which continent is {country}?",
                    f"which continent is {country} in?",
                    f"what continent does {country} belong to?",
                    f"{country} is part of which continent?",
                    f"is {country} in Europe, Asia, Africa or America?",
                ),
                thought=f"{country} is a country. It is in {continent}.",
            )
    for country, language in LANGUAGES.items():
        yield Fact(
            answer=language,
            sentences=(f"People in {country} speak {language}.", f"The language of {country} is {language}."),
            phrases=(f"the language of {country}", f"the language spoken in {country}"),
            questions=(
                f"which language do people speak in {country}?",
                f"what language is spoken in {country}?",
                f"what do they speak in {country}?",
                f"which language is used in {country}?",
                f"in {country}, what language do people talk?",
            ),
            thought=f"In {country} most people speak {language}.",
        )
    for country, money in CURRENCIES.items():
        yield Fact(
            answer=money,
            sentences=(
                f"The currency of {country} is the {money}.",
                f"People in {country} pay with the {money}.",
            ),
            phrases=(f"the currency of {country}", f"the money of {country}"),
            questions=(
                f"which currency is used in {country}?",
                f"what money do people use in {country}?",
                f"what currency does {country} have?",
                f"how do people pay in {country}, with what currency?",
                f"what is the name of the money in {country}?",
            ),
            thought=f"The money of {country} is the {money}.",
        )
