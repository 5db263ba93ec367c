"""Single facts that belong to no table, each asked in several ways."""
# ruff: noqa: E501 - a wording or a table row is one line, however long

from __future__ import annotations

from collections.abc import Iterator

from .conversation import Fact

# answer | sentence | question; question; …
ROWS = """Jupiter|The largest planet is Jupiter.|what is the largest planet?;which planet is the biggest?;what is the biggest planet in our solar system?;name the largest planet.
Mercury|The smallest planet is Mercury.|what is the smallest planet?;which planet is the smallest?;which planet is closest to the sun?
Mars|Mars is called the red planet.|which planet is called the red planet?;what is the red planet?;what planet is red?
Saturn|The planet with the famous rings is Saturn.|which planet has rings?;what planet is known for its rings?;name the planet with big rings.
the sun|The sun is a star. It gives us light and warmth.|what is the sun?;which star is closest to us?;what gives us light in the day?;is the sun a star?
the moon|The moon goes around the earth.|what goes around the earth?;what is the moon?;which body circles our planet?;what shines at night?
100|Water boils at 100 degrees Celsius.|at what temperature does water boil?;when does water boil?;what is the boiling point of water?;how hot is boiling water?
0|Water freezes at 0 degrees Celsius.|at what temperature does water freeze?;when does water freeze?;what is the freezing point of water?;when does water turn to ice?
ice|Frozen water is called ice.|what is frozen water called?;what does water become when it freezes?;what do you call frozen water?
steam|Hot water turns into steam.|what does water turn into when it boils?;what is water as a gas called?
Mount Everest|The highest mountain is Mount Everest.|what is the highest mountain?;which mountain is the tallest?;what is the tallest mountain in the world?;name the highest mountain on earth.
the Nile|The longest river is the Nile.|what is the longest river?;which river is the longest in the world?;name the longest river.
the Pacific|The largest ocean is the Pacific.|what is the largest ocean?;which ocean is the biggest?;name the biggest ocean.
Asia|The largest continent is Asia.|what is the largest continent?;which continent is the biggest?
Russia|The largest country is Russia.|what is the largest country?;which country is the biggest in the world?;name the largest country by area.
Vatican City|The smallest country is Vatican City.|what is the smallest country?;which country is the smallest in the world?
the blue whale|The largest animal is the blue whale.|what is the largest animal?;which animal is the biggest?;name the biggest animal on earth.
the cheetah|The fastest land animal is the cheetah.|what is the fastest animal on land?;which animal runs the fastest?;name the fastest land animal.
the giraffe|The tallest animal is the giraffe.|what is the tallest animal?;which animal has the longest neck?;which animal is the tallest?
the lion|The lion is called the king of the animals.|which animal is the king of the jungle?;who is the king of the animals?
bees|Honey is made by bees.|who makes honey?;which animals make honey?;where does honey come from?;what insect makes honey?
cows|Milk comes from cows.|where does milk come from?;which animal gives us milk?;who gives milk?
hens|Eggs come from hens.|where do eggs come from?;which animal lays the eggs we eat?
sheep|Wool comes from sheep.|where does wool come from?;which animal gives us wool?
William Shakespeare|Romeo and Juliet was written by William Shakespeare.|who wrote Romeo and Juliet?;who is the author of Romeo and Juliet?;who wrote Hamlet?;who is the author of Hamlet?
Leonardo da Vinci|The Mona Lisa was painted by Leonardo da Vinci.|who painted the Mona Lisa?;which painter made the Mona Lisa?;who is the painter of the Mona Lisa?
Albert Einstein|The theory of relativity comes from Albert Einstein.|who made the theory of relativity?;who discovered relativity?;who wrote the theory of relativity?
Isaac Newton|Isaac Newton described gravity.|who described gravity?;who discovered gravity?;which scientist is known for gravity and an apple?
Charles Darwin|The theory of evolution comes from Charles Darwin.|who wrote about evolution?;who made the theory of evolution?
Neil Armstrong|The first person on the moon was Neil Armstrong.|who was the first man on the moon?;who walked on the moon first?;who was the first person on the moon?
Christopher Columbus|Christopher Columbus sailed to America in 1492.|who sailed to America in 1492?;who reached America in 1492?
Beethoven|The Ninth Symphony was written by Beethoven.|who wrote the Ninth Symphony?;who composed the Ninth Symphony?
Alexander Graham Bell|The telephone was invented by Alexander Graham Bell.|who invented the telephone?;who made the first telephone?
Gutenberg|The printing press with movable type was built by Gutenberg.|who invented the printing press?;who built the first printing press?
Charles Dickens|Oliver Twist was written by Charles Dickens.|who wrote Oliver Twist?;who is the author of Oliver Twist?
Cervantes|Don Quixote was written by Cervantes.|who wrote Don Quixote?;who is the author of Don Quixote?
Alan Turing|Alan Turing was one of the founders of computer science.|who was Alan Turing?;who is a founder of computer science?
Ada Lovelace|The first programmer was Ada Lovelace.|who was the first programmer?;who wrote the first computer program?
Guido van Rossum|Python was created by Guido van Rossum.|who created Python?;who made the language Python?;who invented the Python language?
Linus Torvalds|Linux was started by Linus Torvalds.|who created Linux?;who started Linux?;who made the Linux kernel?
oxygen|We breathe in oxygen.|which gas do we breathe?;what gas do people need to breathe?;what do we breathe in?
carbon dioxide|Plants take in carbon dioxide.|which gas do plants take in?;what gas do plants need?
the heart|The heart pumps the blood.|what pumps the blood?;which organ pumps blood?;what does the heart do?
the brain|We think with the brain.|which organ do we think with?;what do we use to think?;which part of the body thinks?
the eyes|We see with the eyes.|what do we see with?;which part of the body do we use to see?
the ears|We hear with the ears.|what do we hear with?;which part of the body do we use to hear?
the nose|We smell with the nose.|what do we smell with?;which part of the body do we use to smell?
the skin|The largest organ of the body is the skin.|what is the largest organ?;which organ is the largest in the body?
gravity|Gravity makes things fall down.|what makes things fall?;why do things fall down?;what force pulls things to the ground?
the Eiffel Tower|The famous tower in Paris is the Eiffel Tower.|what is the famous tower in Paris?;which tower stands in Paris?
Paris|The Eiffel Tower is in Paris.|where is the Eiffel Tower?;in which city is the Eiffel Tower?;which city has the Eiffel Tower?
Egypt|The great pyramids are in Egypt.|where are the pyramids?;in which country are the great pyramids?;which country has the great pyramids?
China|The Great Wall is in China.|where is the Great Wall?;in which country is the Great Wall?;which country built the Great Wall?
Italy|Pizza comes from Italy.|where does pizza come from?;which country invented pizza?;in which country was pizza invented?
Japan|Sushi comes from Japan.|where does sushi come from?;which country is known for sushi?
Rome|The Colosseum is in Rome.|where is the Colosseum?;in which city is the Colosseum?
London|Big Ben is in London.|where is Big Ben?;in which city is Big Ben?
New York|The Statue of Liberty is in New York.|where is the Statue of Liberty?;in which city is the Statue of Liberty?
Sydney|The famous opera house with white sails is in Sydney.|where is the famous opera house with sails?;in which city is the opera house with white sails?
the east|The sun rises in the east.|where does the sun rise?;in which direction does the sun rise?;from where does the sun come up?
the west|The sun sets in the west.|where does the sun set?;in which direction does the sun go down?
east|The four directions are north, south, east and west.|what are the four directions?;name the directions of a compass.
red, yellow and blue|The primary colours are red, yellow and blue.|what are the primary colours?;name the primary colors.
wood|Paper is made from wood.|what is paper made of?;what is paper made from?;which material is paper made from?
sand|Glass is made from sand.|what is glass made of?;what is glass made from?
flour|Bread is made from flour, water and yeast.|what is bread made of?;what do you need to make bread?;what is bread made from?
milk|Cheese is made from milk.|what is cheese made of?;what is cheese made from?
grapes|Wine is made from grapes.|what is wine made of?;what is wine made from?;which fruit makes wine?
cocoa|Chocolate is made from cocoa.|what is chocolate made of?;what is chocolate made from?
December|Christmas is in December.|in which month is Christmas?;when is Christmas?;what month has Christmas?
January|The year starts in January.|in which month does the year start?;which month starts the year?;with which month does a year begin?
a thermometer|Temperature is measured with a thermometer.|what do you use to measure temperature?;which tool measures temperature?
a clock|A clock shows the time.|what shows the time?;which tool shows the time?
a doctor|A doctor helps sick people.|who helps sick people?;who works in a hospital and helps sick people?
a baker|A baker makes bread.|who makes bread?;what is the job of a person who makes bread?
a teacher|A teacher works in a school.|who works in a school?;who teaches children?
an umbrella|You need an umbrella in the rain.|what do you need in the rain?;what keeps you dry in the rain?
299,792|Light travels at about 299,792 kilometres a second.|how fast is light?;what is the speed of light?;how fast does light travel?
3.14|Pi is about 3.14.|what is pi?;what is the value of pi?;how big is pi?
a circle|A round shape is called a circle.|what is a round shape called?;which shape is round?
2|The smallest prime number is 2.|what is the smallest prime number?;which prime number is the smallest?
the library|You can borrow books from the library.|where can i borrow books?;where do you borrow books?
rain|Rain falls from clouds.|what falls from clouds?;what comes from clouds?
at night|We see the stars at night.|when do we see the stars?;when can i see stars?
a keyboard|You type with a keyboard.|what do you type with?;which tool do you use to type?
1969|People first landed on the moon in 1969.|when did people land on the moon?;in which year was the moon landing?;what year was the moon landing?
1989|The Berlin Wall fell in 1989.|when did the Berlin Wall fall?;in which year did the Berlin Wall come down?;what year did the Berlin Wall fall?
1945|The Second World War ended in 1945.|when did the Second World War end?;in which year did World War Two end?;what year did the second world war end?"""


def trivia() -> Iterator[Fact]:
    """Every row of the table."""
    for row in ROWS.splitlines():
        answer, sentence, questions = row.split("|")
        yield Fact(answer, (sentence,), (), tuple(questions.split(";")), f"I know this one. {sentence}")
