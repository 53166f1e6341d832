"""The page at / as a person uses it, in headless Chromium: through a real worker with the demo model, a worker that
writes hostile text, a server with a token, and lost connections.

Which files the server sends, and with which headers, is in Tests/LlorchHTTPTests/Page.
"""
# SPDX-License-Identifier: Apache-2.0

import itertools
import json
import math
import re

import pytest
from selenium.webdriver.common.keys import Keys

from browser import Browser
from cutting_proxy import CuttingProxy
from harness import PATIENCE, Worker, run
from PythonSupport.programs import ROOT
from scripted_worker import ScriptedWorker, end, tokens
from shim import Shim

TOKEN = "5ecret-Token+/="
HOSTILE = '<img src=x onerror="window.hit = 1"><script>window.hit = 2</script>&lt;'
LONG = "lasts until it is stopped"
MARKUP = "writes markup"
HALVES = "writes half characters"
STOPPED = "is stopped by a sequence"
SCRIPTS = {
    LONG: tokens("one ", "two ", "three "),
    HOSTILE: [end(0)],
    MARKUP: [*tokens("a ", HOSTILE, HOSTILE), end(3)],
    # A piece of two whole tokens, and one whose tokens are no characters by themselves.
    HALVES: [*tokens((" two tokens", [b" two", b" tokens"]), ("é", [b"\xc3", b"\xa9"])), end(4)],
    STOPPED: [*tokens("a"), end(1, stop_reason="STOP_SEQUENCE", stop_sequence_matched=HOSTILE)],
}


@pytest.fixture(scope="module")
def begin(tmp_path_factory):
    """A function that starts a process which ends with the module."""
    folder, started, counter = tmp_path_factory.mktemp("page"), [], itertools.count(1)

    def start(kind, *arguments, **options):
        started.append(kind(*arguments, log=folder / f"{kind.__name__}-{next(counter)}.log", **options))
        return started[-1]

    yield start
    for process in reversed(started):
        process.kill()


@pytest.fixture(scope="module")
def scripted(begin, shim_binary, tmp_path_factory):
    """A server with a token, and the worker behind it."""
    token_file = tmp_path_factory.mktemp("token") / "token"
    token_file.touch(mode=0o600)
    token_file.write_text(TOKEN, encoding="ascii")
    shim = begin(Shim, shim_binary, arguments=["--token-file", token_file])
    shim.worker = ScriptedWorker(shim.events_port, SCRIPTS, model="<b>model</b>")
    shim.until_healthy()
    yield shim
    shim.worker.close()


@pytest.fixture(scope="module")
def server(begin, shim_binary, worker_binary, scripted):
    """A server without a token, with the demo model; pages of the other server's origin may use it."""
    shim = begin(Shim, shim_binary, arguments=["--allowed-origin", scripted.url])
    begin(Worker, worker_binary, name="demo", events_port=shim.events_port, model=ROOT / "models/shakespeare")
    shim.until_healthy()
    return shim


@pytest.fixture(scope="module")
def lone_server(begin, shim_binary):
    """A server without a worker."""
    shim = begin(Shim, shim_binary)
    shim.until(lambda health: health["status"] == "unhealthy")
    return shim


@pytest.fixture(scope="module")
def the_browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


@pytest.fixture
def browser(the_browser):
    yield the_browser
    for message in the_browser.log():
        assert "Content Security Policy" not in message, message
        assert "Uncaught" not in message, message


def give_token(browser, text=TOKEN):
    browser.until(lambda: browser.find("ask").is_displayed(), "the question for the token")
    browser.find("ask-token").send_keys(text, Keys.ENTER)


def open_scripted(browser, scripted):
    """The page of the server with the token, which it has."""
    browser.open(scripted.url)
    if browser.script("return sessionStorage.getItem('llorch-token')") != TOKEN:
        browser.script("sessionStorage.setItem('llorch-token', arguments[0])", TOKEN)
        browser.open(scripted.url)


def test_a_text_arrives_and_its_seed_gives_it_again(browser, server):
    browser.open(server.url)
    browser.fill(prompt="JULIET:\n", max_tokens="60", seed="")
    browser.click("run")
    # Now and then the model ends its text before that.
    status = browser.until_status("Ended after")
    text, seed = browser.answer(), browser.text("fact-seed")
    assert text and int(seed) < 2**53
    assert browser.text("text") == "JULIET:\n" + text
    assert float(browser.text("fact-rate")) > 0
    assert browser.text("fact-first").endswith("s")
    events = server.execute(job_id="again", prompt="JULIET:\n", max_tokens=60, temperature=0.8, seed=int(seed))
    assert text == "".join(event["t"] for event in events if event["type"] == "token")
    assert browser.text("fact-tokens") == str(events[-1]["tokens_out"])
    assert f"Ended after {events[-1]['tokens_out']} tokens" in status
    browser.click("again")
    assert browser.until_status("same text, character for character")
    assert browser.answer() == text and browser.text("fact-seed") == seed
    # Other settings are another run: the comparison is about the same request only.
    browser.fill(seed="18446744073709551615", max_tokens="20")
    browser.run()
    assert "same" not in browser.until_status("Ended after")
    assert browser.text("fact-seed") == "18446744073709551615"
    assert browser.log() == []


def test_a_token_shows_its_probability_and_the_alternatives(browser, server):
    browser.open(server.url)
    browser.fill(prompt="ROMEO:\n", max_tokens="30", seed="7")
    browser.run()
    browser.until_status("Ended")
    events = server.execute(job_id="same", prompt="ROMEO:\n", max_tokens=30, temperature=0.8, seed=7, logprobs=5)
    known = [one for event in events if event["type"] == "token" for one in event["logprobs"]]
    assert len(known) == 30

    def shown():
        """Names and shares of the panel's rows, and the row of the token itself."""
        rows = browser.script(
            "return [...document.querySelectorAll('#token tr')].map((row) => [row.className, "
            "row.cells[0].textContent, row.cells[1].textContent])")
        return [row[1:] for row in rows], [row[1:] for row in rows if row[0] == "chosen"]

    def expected(one):
        return [name(one["bytes"]), share(one["logprob"])]

    spans = browser.all("#text [data-at]")
    places = [place for place, span in enumerate(spans) if span.text.strip()]
    assert len(spans) == 30
    for place in (places[3], places[9]):
        browser.point_at(spans[place])
        browser.until(lambda: browser.find("token").is_displayed(), "the panel")
        rows, chosen = browser.until(lambda: shown()[0] and shown(), "the rows")
        assert rows[:5] == [expected(one) for one in known[place]["top"]]
        assert chosen == [expected(known[place])]
        assert share(known[place]["logprob"]) in browser.text("token-title")
        # A pointer makes no noise.
        assert browser.text("token-voice") == ""
    browser.script("document.getElementById('text').focus()")
    browser.press(Keys.HOME)
    assert shown()[1] == [expected(known[0])]
    browser.press(Keys.ARROW_RIGHT)
    assert shown()[1] == [expected(known[1])]
    voice = browser.text("token-voice")
    assert share(known[1]["logprob"]) in voice and " Or: " in voice
    browser.click("next-token")
    assert shown()[1] == [expected(known[2])] and share(known[2]["logprob"]) in browser.text("token-voice")
    browser.script("document.getElementById('text').focus()")
    browser.press(Keys.END)
    assert shown()[1] == [expected(known[29])] and not browser.can("next-token")
    browser.press(Keys.ARROW_UP)
    assert len(browser.all(".looked-at")) == 1 and shown()[1] != [expected(known[29])]
    assert browser.log() == []


def name(values):
    text = bytes(values).decode()
    return text.replace(" ", "␣").replace("\n", "↵")


def share(logarithm):
    value = 100 * math.exp(logarithm)
    return "< 0.01 %" if value < 0.01 else f"{value:.{2 if value < 1 else 1}f} %"


def test_workers_and_numbers_at_a_glance(browser, server):
    browser.open(server.url)
    cells = browser.until(lambda: [cell.text for cell in browser.all("#workers tbody tr > *")], "a worker")
    assert cells[:3] == ["demo", "idle", "0"] and cells[3].endswith("s ago")
    assert browser.text("model") == "shakespeare, f32, context 256"
    assert browser.text("serving") == "1 worker, idle"
    browser.run()
    browser.until_status("Ended")

    def label(id):
        return browser.find(id).get_attribute("aria-label")

    browser.until(lambda: "at most 0.0" not in label("rate-chart") and "at most" in label("rate-chart"),
                  "tokens per second")
    assert label("jobs-chart").startswith("Jobs in the last five minutes: now ")
    assert len(browser.all("#rate-chart path")) == 2 and len(browser.all("#jobs-chart path")) == 2


@pytest.mark.parametrize("by", ["Escape", "the button"])
def test_stop(browser, scripted, by):
    open_scripted(browser, scripted)
    browser.fill(prompt=LONG)
    browser.run()
    browser.until(lambda: browser.answer() == "one two three ", "the text so far")
    assert not browser.can("run")
    if by == "Escape":
        browser.press(Keys.ESCAPE)
    else:
        browser.click("stop")
    browser.until_status("Stopped after 3 tokens.")
    assert browser.can("run") and not browser.can("stop")
    assert browser.answer() == "one two three "
    # What came before the stop can be compared.
    jobs = len(scripted.worker.jobs)
    browser.click("again")
    browser.until(lambda: len(scripted.worker.jobs) > jobs and browser.answer() == "one two three ", "again")
    browser.press(Keys.ESCAPE)
    browser.until_status("Stopped", "same text, as far as both runs came")
    first, second = ({name: job[name] for name in job.keys() - {"job_id", "correlation_id"}}
                     for job in scripted.worker.jobs[-2:])
    assert first == second and "seed" in first


def test_the_text_of_a_model_is_never_markup(browser, scripted):
    open_scripted(browser, scripted)
    browser.fill(prompt=MARKUP)
    browser.run()
    browser.until_status("Ended")
    assert browser.answer() == "a " + HOSTILE + HOSTILE
    browser.point_at(browser.all("#text [data-at]")[1])
    browser.until(lambda: browser.find("token").is_displayed(), "the panel")
    assert HOSTILE.replace(" ", "␣") in browser.text("token-title")
    assert "<b>other</b>" in browser.text("token-body")
    browser.fill(prompt=STOPPED)
    browser.run()
    browser.until_status("the stop sequence", HOSTILE.replace(" ", "␣"))
    browser.fill(prompt=HOSTILE)
    browser.run()
    browser.until(lambda: HOSTILE in browser.text("text"), "the prompt")
    assert "<b>model</b>" in browser.text("model")
    assert browser.script("return window.hit") is None
    assert not browser.all("main img, main script, main b")


def test_pieces_with_several_tokens(browser, scripted):
    open_scripted(browser, scripted)
    browser.fill(prompt=HALVES)
    browser.run()
    browser.until_status("Ended after 4 tokens")
    assert [span.get_attribute("textContent") for span in browser.all("#text [data-at]")] == [" two", " tokens", "é"]
    browser.script("document.getElementById('text').focus()")
    browser.press(Keys.END)
    assert browser.text("token-title") == "“é”, 2 tokens"
    assert [title.text for title in browser.all("#token-body h3")] == [
        "“⟨C3⟩”, 22.3 %, token 2", "“⟨A9⟩”, 22.3 %, token 3"]


def test_the_token_is_asked_for(browser, scripted):
    browser.open(scripted.url)
    browser.script("sessionStorage.clear()")  # of the tests before
    browser.open(scripted.url)
    browser.until(lambda: browser.text("numbers-note") == "the numbers need the token", "the note")
    browser.fill(prompt=MARKUP)
    browser.run()
    give_token(browser, "wrong")
    give_token(browser)
    browser.until_status("Ended")
    browser.until(lambda: browser.text("numbers-note") == "", "the numbers")
    browser.open(scripted.url)  # The tab still has the token.
    browser.fill(prompt=MARKUP)
    browser.run()
    browser.until_status("Ended")
    assert browser.script("return JSON.stringify(localStorage) + document.cookie") == "{}"
    browser.click("forget")
    browser.run()
    browser.until(lambda: browser.find("ask").is_displayed(), "the question for the token")
    browser.press(Keys.ESCAPE)
    browser.until_status("Authorization: Bearer TOKEN is missing.")
    assert browser.can("run")


def test_objections_stand_by_their_fields(browser, server):
    browser.open(server.url)
    browser.fill(temperature="9", max_tokens="0", stop="a\nb\nc\nd\ne")
    browser.run()
    status = browser.until_status("Temperature: ")
    for field in ("temperature", "max_tokens", "stop"):
        assert browser.text(f"{field}-error")[:-1] in status, status
        (place,) = browser.all(f'#form [name="{field}"]')
        assert place.get_attribute("aria-invalid") == "true"
        assert f"{field}-error" in place.get_attribute("aria-describedby").split()
    assert browser.focused() == "max_tokens"
    assert browser.find("status").get_attribute("role") == "status"
    # What is no number never reaches the server.
    browser.fill(temperature="e", max_tokens="5", stop="x", seed="-1")
    browser.run()
    browser.until_status("this is no number", "Seed: a whole number")
    browser.fill(temperature="1", seed="")
    browser.run()
    browser.until_status("Ended")
    assert browser.text("temperature-error") == "" and not browser.all("[aria-invalid]")


def test_stop_sequences_have_escapes(browser, scripted):
    open_scripted(browser, scripted)
    browser.fill(prompt=MARKUP, stop="\\n\\n\nTHE END\n\nback\\\\slash\\x", top_k="3", temperature="")
    browser.run()
    browser.until_status("Ended")
    job = scripted.worker.jobs[-1]
    assert job["stop"] == ["\n\n", "THE END", "back\\slash\\x"]
    assert job["top_k"] == 3 and job.get("temperature", 1) == 1 and job["logprobs"] == 5


def test_no_worker_and_no_server(browser, lone_server):
    proxy = CuttingProxy(lone_server.port)
    browser.open(proxy.url)
    browser.run()
    browser.until_status("no worker is connected", "Try again in 1 second.")
    browser.until(lambda: "no worker serves" in browser.text("serving"), "the state")
    assert "Start one" in browser.text("no-workers")
    proxy.go_away()
    browser.run()
    browser.until_status("The server cannot be reached.")
    browser.until(lambda: browser.text("serving") == "the server does not answer", "the state")
    proxy.come_back()
    browser.until(lambda: "no worker serves" in browser.text("serving"), "the state")
    proxy.close()


@pytest.mark.parametrize("kill", [False, True], ids=["cut", "server killed"])
def test_a_lost_connection_loses_nothing(browser, server, kill):
    """The page comes back for the rest; of a server that was killed it asks the whole text again."""
    proxy = CuttingProxy(server.port)
    browser.open(proxy.url)
    browser.fill(max_tokens="100", seed="7")

    def kill_and_start():
        server.kill()
        server.start()

    proxy.cut_after(20_000, kill_and_start if kill else lambda: None)
    browser.run()
    browser.until_status("Ended after 100 tokens")
    assert proxy.cuts == 1
    came_back = [int(number) for number in re.findall(rb"Last-Event-ID: (\d+)\r", proxy.sent)]
    assert came_back and 0 < min(came_back) < 100
    text = browser.answer()
    server.until_healthy()
    events = server.execute(job_id=f"whole {kill}", prompt="ROMEO:\n", max_tokens=100, temperature=0.8, seed=7)
    assert text == "".join(event["t"] for event in events if event["type"] == "token")
    proxy.close()


def test_by_keyboard_alone(browser, server):
    browser.open(server.url)
    visited = []
    for _ in range(16):
        browser.press(Keys.TAB)
        visited.append(browser.focused())
        outline = browser.script("return getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", visited
    assert visited[:6] == ["", "prompt", "run", "stop", "again", "max_tokens"]
    assert visited.index("stop_sequences") < visited.index("text")
    browser.script("document.getElementById('prompt').focus()")
    browser.press(Keys.META, Keys.ENTER)
    browser.until_status("Ended")
    assert browser.focused() == "prompt"


LIGHT, DARK = {"dark": False}, {"dark": True}
NARROW, NARROW_DARK = {"dark": False, "width": 320}, {"dark": True, "width": 320}


def assert_clean(browser, *views):
    """Axe finds nothing, and nothing must be scrolled sideways."""
    for view in views:
        browser.show(**view)
        assert browser.violations() == [], view
        assert browser.script("return document.documentElement.scrollWidth") <= view.get("width", 1280), view
        paper = browser.script("return getComputedStyle(document.body).backgroundColor")
        assert (sum(json.loads(paper.replace("rgb(", "[").replace(")", "]"))) < 200) == view["dark"]


def test_axe_has_nothing_to_say(browser, scripted):
    open_scripted(browser, scripted)
    assert_clean(browser, LIGHT)
    browser.fill(prompt=HALVES, temperature="9")
    browser.run()
    browser.until_status("Temperature: ")
    assert_clean(browser, DARK, NARROW)
    browser.fill(temperature="1")
    browser.run()
    browser.until_status("Ended")
    browser.script("document.getElementById('text').focus()")
    browser.press(Keys.END)
    browser.until(lambda: browser.all("#workers tbody tr"), "a worker")
    assert_clean(browser, LIGHT, DARK, NARROW, NARROW_DARK)
    browser.click("forget")
    browser.run()
    browser.until(lambda: browser.find("ask").is_displayed(), "the question for the token")
    assert_clean(browser, LIGHT, NARROW_DARK)
    browser.press(Keys.ESCAPE)


def test_who_wants_calm_sees_nothing_move(browser, scripted):
    open_scripted(browser, scripted)
    browser.fill(prompt=LONG)
    browser.run()
    browser.until(lambda: browser.answer() == "one two three ", "the text so far")
    for calm, animation in ((False, "breathe"), (True, "none")):
        browser.show(calm=calm)
        found = browser.script("return getComputedStyle(document.getElementById('text'), '::after').animationName")
        assert found == animation
    browser.press(Keys.ESCAPE)
    browser.until_status("Stopped")


def test_a_page_of_a_named_origin_may_use_the_server(browser, server, scripted, lone_server):
    """In a browser, which asks before it sends: with a token, a job and its stream."""
    browser.open(f"{scripted.url}/livez")
    job = {"method": "POST", "body": json.dumps({"job_id": "far", "prompt": "A", "max_tokens": 2}),
           "headers": {"Content-Type": "application/json", "Authorization": "Bearer x", "Last-Event-ID": "9"}}
    refused = browser.fetch(f"{server.url}/execute", job)
    assert refused["status"] == 400 and "Last-Event-ID" in refused["text"]
    del job["headers"]["Last-Event-ID"]
    answer = browser.fetch(f"{server.url}/execute", job)
    assert answer["status"] == 200 and "event: end" in answer["text"]
    cancel = {**job, "body": '{"job_id":"far"}'}
    assert browser.fetch(f"{server.url}/cancel", cancel)["status"] == 202
    assert browser.fetch(f"{server.url}/metrics")["status"] == 200
    for url in (f"{lone_server.url}/livez", f"{lone_server.url}/execute"):
        assert "TypeError" in browser.fetch(url, job if "execute" in url else None)["error"]
    browser.open("about:blank")
    assert "TypeError" in browser.fetch(f"{server.url}/livez")["error"]


def test_an_origin_that_is_none_ends_the_start(shim_binary):
    done = run(shim_binary, "--port", "0", "--allowed-origin", "*", seconds=PATIENCE)
    assert done.returncode == 2
    assert "--allowed-origin *: expected scheme://host" in done.stderr.decode()
