"""The web page in a real browser: Chromium without a window, driven over its own protocol.

With `HEARTH_SCREENSHOTS=folder` the pages are kept there as pictures, in both themes, on a desk and on a phone.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from api import Server
from tests.api.web.conftest import PASSWORD
from tests.api.web.test_safe import ATTACKS

pytestmark = pytest.mark.long

_T = TypeVar("_T")
SCREENSHOTS = os.environ.get("HEARTH_SCREENSHOTS")
"""Read now: tests run without the user's own variables."""
PATIENCE_S = 90.0
DESK, PHONE = (1280, 860), (390, 844)
SLOW = "scripted:tokens=100000,delay_ms=30"
ANSWER = (
    "A **prefix cache** keeps what was computed.\\n\\n| Step | Tokens |\\n| --- | ---: |\\n| First | 1,204 |\\n\\n"
    "```python\\ndef known(tokens):\\n    return len(tokens)  # a hit\\n```\\n\\n> It saves time."
)


class Browser:
    """A window of Chromium at `url`."""

    def __init__(self, url: str, size: tuple[int, int] = DESK, *, dark: bool = False) -> None:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service

        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or ""
        for flag in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "hide-scrollbars"):
            options.add_argument(f"--{flag}")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.url, self.name = url, f"{'dark' if dark else 'light'}-{size[0]}"
        self.driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        self.driver.set_page_load_timeout(PATIENCE_S)
        theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [theme]})
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size == PHONE},
        )

    def open(self, path: str) -> None:
        self.driver.get(self.url + path)
        self.until(lambda: self.js("return typeof htmx === 'object' && document.readyState === 'complete'"))

    def js(self, script: str, *values: object) -> Any:
        return self.driver.execute_script(script, *values)

    def all(self, selector: str) -> list[Any]:
        return self.driver.find_elements("css selector", selector)

    def until(self, found: Callable[[], _T]) -> _T:
        """What `found` gives as soon as that is something; elements may be exchanged while it looks."""
        from selenium.common.exceptions import WebDriverException

        end = time.monotonic() + PATIENCE_S
        while True:
            try:
                if value := found():
                    return value
            except WebDriverException:
                pass
            assert time.monotonic() < end, (self.driver.current_url, self.text("body")[-1500:], self.said())
            time.sleep(0.05)

    def click(self, selector: str) -> None:
        self.until(
            lambda: self.js(
                "const e = document.querySelector(arguments[0]); e.click(); return true", selector
            )
        )

    def text(self, selector: str) -> str:
        """Its words, as they are shown; empty where there is none of it."""
        return str(
            self.js("const e = document.querySelector(arguments[0]); return e ? e.innerText : ''", selector)
        )

    def type(self, selector: str, words: str) -> None:
        self.until(lambda: self.all(selector))[0].send_keys(words)

    def pick(self, selector: str, model: str) -> None:
        """Choose a model that no list has."""
        self.js(
            "const o = new Option('scripted', arguments[1], true, true);"
            "document.querySelector(arguments[0] + ' select').add(o);",
            selector,
            model,
        )

    def sign_in(self) -> None:
        self.open("/chat/login?next=/chat/conversations/new")
        self.type("#password", PASSWORD + "\n")
        self.until(lambda: self.driver.current_url.endswith("/new"))

    def said(self) -> list[str]:
        """What the browser complained of: refused scripts and styles, errors of scripts, failed requests."""
        return [line["message"] for line in self.driver.get_log("browser") if line["level"] == "SEVERE"]

    def overflow(self) -> int:
        """Pixels by which the page is wider than its window."""
        return int(self.js("return document.documentElement.scrollWidth - innerWidth"))

    def shoot(self, name: str) -> None:
        if SCREENSHOTS:
            Path(SCREENSHOTS).mkdir(parents=True, exist_ok=True)
            self.driver.save_screenshot(str(Path(SCREENSHOTS) / f"web-{name}-{self.name}.png"))


Windows = Callable[..., Browser]


@pytest.fixture
def window(web_server: Server, request: pytest.FixtureRequest) -> Iterator[Windows]:
    """Opens windows, and closes them."""
    pytest.importorskip("selenium", reason="selenium is missing: make setup-dev installs it")
    if not shutil.which("chromium") or not shutil.which("chromedriver"):
        pytest.skip(
            "chromium or chromedriver is missing: python -m setup.browser installs them where apt can"
        )
    made: list[Browser] = []

    def open_window(size: tuple[int, int] = DESK, *, dark: bool = False) -> Browser:
        made.append(Browser(web_server.url, size, dark=dark))
        return made[-1]

    yield open_window
    for each in made:
        each.driver.quit()


def seeded(server: Server, conversation: str, title: str, *said: str) -> None:
    """A conversation in which these were said in turn."""
    messages = [
        {
            "id": f"m{place}",
            "parent": f"m{place - 1}" if place else "",
            "role": "assistant" if place % 2 else "user",
            "content": words,
            "model": "ember" if place % 2 else "",
        }
        for place, words in enumerate(said)
    ]
    httpx.post(
        f"{server.url}/hearth/v1/conversations/save",
        json={
            "conversation": conversation,
            "messages": messages,
            "change": {"title": title, "model": "ember"},
        },
        headers={"authorization": f"Bearer {server.hub.token}"},
        timeout=60,
    ).raise_for_status()


def test_a_conversation_from_the_sign_in_to_its_export(window: Windows, tmp_path: Path) -> None:
    from PIL import Image

    browser = window()
    browser.sign_in()
    browser.pick("#composer", SLOW)
    browser.type("#composer textarea", "Hello from a browser\n")
    browser.until(lambda: browser.all("#live"))
    browser.until(lambda: "w5" in browser.text(".answer > .prose"))
    assert "writing" in browser.text(".stage")
    assert browser.js("return getComputedStyle(document.querySelector('.square.stop')).display") != "none"
    # It goes on while nobody looks, and whoever comes back sees all of it.
    here = browser.driver.current_url.removeprefix(browser.url)
    browser.open("/chat/jobs")
    browser.open(here)
    browser.until(lambda: "w0 w1 w2" in browser.text(".answer > .prose"))
    browser.click(".square.stop")
    browser.until(lambda: "Stopped." in browser.text("#thread") and not browser.all("#live"))

    browser.pick("#composer", "scripted:text=another **answer**")
    browser.click(".answer button[title=Regenerate]")
    browser.until(lambda: browser.text(".answer .prose strong") == "answer")
    assert browser.text(".versions") == "2/2"
    browser.click(".versions button[aria-label='Version before']")
    browser.until(lambda: browser.text(".versions") == "1/2")

    browser.click(".question button[title=Edit]")
    browser.type(".editing textarea", ", again\n")
    browser.until(lambda: browser.text(".said") == "Hello from a browser, again")
    browser.until(lambda: browser.text(".answer .prose strong") == "answer" and not browser.all("#live"))

    Image.new("RGB", (64, 48), "orange").save(tmp_path / "sun.png")
    browser.type("[data-pictures]", str(tmp_path / "sun.png"))
    assert browser.text("#pictures") == "sun.png"
    browser.type("#composer textarea", "Look\n")
    browser.until(lambda: browser.js("return document.querySelector('.shown img')?.naturalWidth") == 64)
    browser.until(lambda: not browser.all("#live"))
    assert (
        browser.text("#pictures") == ""
        and browser.js("return document.querySelector('#composer textarea').value") == ""
    )

    browser.click(".menu summary")
    browser.js("document.querySelector('.menu input').value = ''")
    browser.type(".menu input", "A <b>title</b>\n")
    browser.until(lambda: browser.text("#head h1") == "A <b>title</b>")
    browser.type("aside input", "browser")
    browser.until(lambda: browser.all("#list mark"))
    browser.js("window.confirm = () => true")
    browser.click(".menu .danger")
    browser.until(lambda: browser.driver.current_url.endswith("/chat/conversations"))
    assert browser.said() == []


def test_errors_are_told_on_the_page_that_is_there(window: Windows) -> None:
    browser = window()
    browser.sign_in()
    browser.type("#composer textarea", "   \n")
    browser.until(lambda: "There is nothing to send" in browser.text(".notice"))
    browser.pick("#composer", "no-such-model")
    browser.type("#composer textarea", "Hello\n")
    browser.until(lambda: "There is no model" in browser.text(".wrong"))
    browser.js("document.body.setAttribute('hx-headers:inherited', '{}')")
    browser.click(".answer button[title=Regenerate]")
    browser.until(lambda: "The page is out of date" in browser.text(".notice"))
    browser.driver.delete_all_cookies()
    browser.click(".answer button[title=Regenerate]")
    browser.until(lambda: "/chat/login?next=/chat/conversations/" in browser.driver.current_url)


def test_what_is_said_runs_nothing(window: Windows, web_server: Server) -> None:
    seeded(web_server, "attacked", ATTACKS[0], *(each for each in ATTACKS for _ in range(2)))
    browser = window()
    browser.sign_in()
    browser.js("sessionStorage.clear()")
    for path in ("/chat/conversations/attacked", "/chat/conversations"):
        browser.open(path)
        # A dialog would stand in the way of every further word.
        assert (
            browser.js(
                "return document.querySelectorAll('#thread script, #thread iframe, #list script').length"
            )
            == 0
        )
        outside = browser.js(
            "return performance.getEntriesByType('resource').map(e => e.name)"
            ".filter(n => !n.startsWith(location.origin))"
        )
        assert outside == []
    browser.open("/chat/conversations/attacked")
    assert (
        browser.js(
            "return document.querySelectorAll('.prose [hx-get], .prose [hx-trigger], .prose [onclick]').length"
        )
        == 0
    )
    # And what a page is told to run from within is refused by its own rules.
    browser.js(
        "const s = document.createElement('script'); s.textContent = 'window.ran = 1'; document.body.append(s)"
    )
    assert browser.js("return window.ran === undefined")
    assert any("Content Security Policy" in line for line in browser.said())


@pytest.mark.parametrize("size", [DESK, PHONE])
@pytest.mark.parametrize("dark", [False, True])
def test_every_page_in_both_themes_on_a_desk_and_a_phone(
    window: Windows, web_server: Server, size: tuple[int, int], dark: bool
) -> None:
    answer = ANSWER.replace("\\n", "\n")
    seeded(
        web_server, "shown", "What a prefix cache is", "What is a prefix cache?", answer, "Thanks!", "Gladly."
    )
    browser = window(size, dark=dark)
    browser.open("/chat/login")
    browser.shoot("login")
    browser.sign_in()
    ground = "rgb(23, 20, 18)" if dark else "rgb(251, 247, 241)"
    for name, path in (
        ("new", "/chat/conversations/new"),
        ("list", "/chat/conversations"),
        ("conversation", "/chat/conversations/shown"),
        ("jobs", "/chat/jobs"),
        ("home", "/"),
    ):
        browser.open(path)
        assert browser.js("return getComputedStyle(document.body).backgroundColor") == ground
        assert browser.overflow() <= 0, name
        browser.shoot(name)
    browser.pick(".ask", 'scripted:{"text": "' + ANSWER + '"}')
    browser.type(".ask textarea", "What is a prefix cache?\n")
    browser.until(lambda: browser.all(".account"))
    browser.click(".account summary")
    assert "First token" in browser.text(".account") and browser.overflow() <= 0
    browser.js("document.getElementById('asked').scrollIntoView()")
    browser.shoot("asked")
    browser.click("[data-theme-switch]")
    assert browser.js("return getComputedStyle(document.body).backgroundColor") != ground
    browser.open("/chat/jobs")
    assert browser.js("return getComputedStyle(document.body).backgroundColor") != ground
    assert browser.said() == []
