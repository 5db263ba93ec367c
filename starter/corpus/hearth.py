"""What Hearth is, how to use each part of it, and the few terms one meets there."""
# ruff: noqa: E501 - a wording or a table row is one line, however long

from __future__ import annotations

import random
import re

from .conversation import Conversation, chat
from .phrasing import FRAMES, decorate, reworded
from .smalltalk import rows

# questions ; … | answers ; … (a question without a question mark or verb is a noun phrase that fits a frame)
PARTS = r"""what is hearth?;what is this program?;explain hearth.;tell me about hearth.;what does hearth do?;what can hearth do?;what is this app?;where am i?;describe hearth.|Hearth is a terminal workstation for local language models. You can chat, load models, run a server and measure them, all on your own machine.
how do i start hearth?;how do i run hearth?;how can i open hearth?;how to start the app?;which command starts hearth?;how do i launch hearth?|Type `make run` in the folder of Hearth. After an install, the command is `hearth`.
how do i quit?;how do i exit hearth?;how do i close the app?;how can i leave hearth?;which key quits?;how do i get out?|Press ctrl+q to quit. The terminal is restored as it was.
how do i chat in the terminal?;how do i use hearth chat?;what is hearth chat?;how do i chat without the screen?;how do i ask from the command line?;what does hearth chat do?|Use `hearth chat`. For example:\n\n```sh\nhearth chat ember "What is the capital of France?"\n```
how do i stop an answer?;how do i stop generating?;how can i cancel an answer?;how do i interrupt you?;which key stops the answer?;stop the answer, how?;how do i make the model stop?|Press esc. The answer stops at once and the text so far is kept.
how do i change the theme?;how do i switch the theme?;where are the themes?;how do i get a dark theme?;which key changes the theme?;can i change the colours?;how do i switch to a light theme?;how do themes work?|Press ctrl+t to choose a theme. There are dark, light and high-contrast themes, and you can add your own file.
how do i open the palette?;what is the command palette?;how do i find a command?;which key opens the palette?;where is the command palette?;how do i search for actions?|Press ctrl+p to open the command palette. Type a few letters and choose an action.
how do i get help?;where is the help?;which key shows help?;how do i see all keys?;show me the keys.;what are the shortcuts?|Press F1 for help. It lists all keys that work where you are.
how do i load a model?;how do i use another model?;how do i switch models?;how do i get more models?;how do i add a model?;where do i find models?;how do i download a model?;how do i install a bigger model?|Open the models pane, choose a model and load it. With `hearth pull` you download a new one.
what is the models pane?;what is the models screen for?;what are models?;what does the models part do?|The models pane lists every model on this machine, its size, and whether it fits into memory.
what is an alias?;what are aliases?;how do i make an alias?;why should i use an alias?;what does an alias do?;explain aliases.|An alias is a name for a model with your own settings, such as a system prompt and a temperature. Make one with `hearth create`.
what is the hardware pane?;what does the hardware screen show?;how do i see my memory?;how do i see the gpu?;where can i see the hardware?;how do i check my cpu load?|The hardware pane shows the live load of processor, memory and graphics card.
what are evals?;what is an eval?;how do i test a model?;how do i run an eval?;how do i compare two models?;what is the evals pane for?;how do i measure the quality of a model?|Evals are tests for models. Choose a dataset and a model in the evals pane; the report shows scores and compares models fairly.
what are jobs?;what is a job?;how do i run something in the background?;what is the jobs pane?;how do i submit a job?;what does the job queue do?|A job is a request that runs in the background. Jobs survive a restart and wait in a queue until the model is free.
what is the server?;how do i start the server?;how do i run a server?;how do other programs use hearth?;how do i connect a client?;does hearth have an api?;how do i use the api?;how do i serve a model?|Start the server with `hearth serve`. It speaks the Ollama, OpenAI and Anthropic protocols, so most clients work with it.
which protocols does hearth speak?;which apis does the server have?;does hearth speak the openai protocol?;does hearth work with ollama clients?;can i use anthropic clients?;is hearth compatible with openai?|The server speaks three protocols: Ollama, OpenAI and Anthropic.
what are metrics?;what do the metrics show?;where are the metrics?;how fast is my model?;how do i see tokens per second?;what is the metrics pane?|The metrics pane shows how many tokens per second a model makes, how long the first token takes, and every finished request.
what is an adapter?;what is a lora?;what is lora?;how do i use an adapter?;what is a lora adapter?;what are adapters for?;explain adapters.|A LoRA adapter is a small addition to a model that changes its style or skill. Ember has one called pirate.
how do i use the pirate adapter?;what is pirate?;how do i talk to a pirate?;how do i load pirate?|Choose the adapter pirate for ember, or type `hearth chat ember --adapter pirate`.
how do i set the temperature?;what is temperature?;what does temperature do?;how do i change the temperature?;explain temperature.|The temperature sets how freely the model chooses words. Low is exact, high is creative. You set it in the inspector.
what is the inspector?;where do i set the system prompt?;how do i change the system prompt?;where are the sampling settings?|The inspector beside the chat holds the system prompt and the sampling settings.
what is a system prompt?;what does the system prompt do?;explain system prompts.;why do i need a system prompt?|A system prompt tells the model how to behave, for example: answer in one word.
what is a token?;what are tokens?;explain tokens.;what does token mean?|A token is a small piece of text, often a word or a part of a word. Models read and write tokens.
what is a context window?;what is the context?;how long is your context?;what is the context length?;explain the context window.|The context window is the text that a model can see at once. Ember sees 2048 tokens.
what is a kv cache?;what does the kv cache do?;explain the kv cache.;what is the cache of a model?|The KV cache keeps what the model has already read, so that it need not read it again.
what is prefill?;what does prefill mean?;explain prefill.|Prefill is the first step of an answer: the model reads the whole prompt.
what is decode?;what does decoding mean?;explain decode.|Decode is the step in which the model writes the answer, one token at a time.
what is ttft?;what does ttft mean?;what is the time to first token?;explain ttft.|TTFT is the time to first token: how long you wait until the answer begins.
what is quantisation?;what is quantization?;what does q8 mean?;why are models quantised?;explain quantization.|Quantisation stores the weights with fewer bits, so that a model needs less memory.
what is gguf?;what is a gguf file?;what does gguf mean?;explain gguf.|GGUF is a file format for models. llama.cpp runs it.
what is llama.cpp?;what is a backend?;which backends does hearth have?;which engines does hearth use?|Hearth runs models with three backends: llama.cpp, MLX and transformers.
what is mlx?;what does mlx do?;on what does mlx run?|MLX is a library that runs models fast on Apple computers.
what is a language model?;what is an llm?;what does llm mean?;how do language models work?;explain language models.|A language model is a program that has learned from text and writes text, one token after the other.
what is ember?;tell me about ember.;what is the starter model?;explain ember.;why is ember so small?|Ember is the tiny model that comes with Hearth. It is made for trying things out, not for real work.
do you need the internet?;does hearth need the internet?;does hearth work offline?;is my data private?;where is my data?;do you send my data away?|No network is needed. Everything runs on your own machine, and your data stays there.
how do i regenerate an answer?;can i get another answer?;how do i retry?;how do i edit my message?;how do i go back?|Select the message and choose regenerate or edit. The old answer is kept as a branch beside the new one.
how do i copy an answer?;how do i copy code?;how do i copy a message?|Select the message and choose copy, or copy one code block with the palette.
how do i start a new chat?;how do i open a new conversation?;how do i begin again?|Open the palette with ctrl+p and choose new conversation. Several can run at once.
how do i run the tests?;how do i test hearth?;which command runs the tests?|Type `make test`. The long tests run with `make test-long`.
where are the settings?;how do i change a setting?;how do i configure hearth?;where is the config file?|Settings are in a TOML file. `hearth config show` prints each value and where it comes from.
what is thinking?;can you think?;how do i turn on thinking?;what does thinking mode do?|With thinking on, a model first writes down its thoughts and then the answer. It can be switched on and off."""

_PARTS = rows(PARTS)
COMMANDS = {
    "start Hearth": "make run", "chat in the plain terminal": "hearth chat", "start the server": "hearth serve",
    "download a model": "hearth pull", "make an alias": "hearth create", "run the tests": "make test",
    "see the settings": "hearth config show", "see the version": "hearth --version",
}  # fmt: skip
KEYS = {
    "change the theme": "ctrl+t",
    "open the palette": "ctrl+p",
    "stop an answer": "esc",
    "quit Hearth": "ctrl+q",
    "open the help": "F1",
}


def hearth_turn(rng: random.Random) -> tuple[str, str]:
    """One question about Hearth and its answer."""
    kind = rng.random()
    if kind < 0.06:
        what, command = rng.choice(list(COMMANDS.items()))
        question = rng.choice(FRAMES).format(f"the command to {what}")
        return decorate(question, rng), f"The command to {what} is `{command}`."
    if kind < 0.12:
        what, key = rng.choice(list(KEYS.items()))
        question = rng.choice(
            (
                "which key do i press to {}?",
                "what key is for: {}?",
                "how can i {}?",
                "i want to {}.",
                "what is the key to {}?",
            )
        )
        return decorate(question.format(what), rng), f"Press {key} to {what}."
    questions, answers = rng.choice(_PARTS)
    question = rng.choice(questions)
    if question.startswith(("what is ", "what are ")) and rng.random() < 0.3:
        phrase = question.removeprefix("what is ").removeprefix("what are ").rstrip("?")
        question = rng.choice(
            (*FRAMES, "explain {}.", "what does {} mean?", "tell me about {}.", "what is the meaning of {}?")
        ).format(phrase)
    return _named(decorate(reworded(question, rng), rng), rng), rng.choice(answers)


def _named(question: str, rng: random.Random) -> str:
    """The program's name with its capital, as most people write it; the command keeps its small letter."""
    return re.sub(r"\bhearth\b(?! chat)", "Hearth", question) if rng.random() < 0.6 else question


def hearth(rng: random.Random) -> Conversation:
    """One exchange."""
    return chat(*hearth_turn(rng))
