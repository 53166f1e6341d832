"""Headless Chromium for the tests of the page: one browser, and what a person sees and does in it.

What must be seen is in the tests.
"""
# SPDX-License-Identifier: Apache-2.0

import pathlib
import shutil
import time

import axe_core_python
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from harness import PATIENCE

AXE = pathlib.Path(axe_core_python.__file__).with_name("axe.min.js").read_text(encoding="utf-8")


def tool(name, package):
    path = shutil.which(name)
    assert path, f"{name} is not there: apt-get install {package}"
    return path


class Browser:
    def __init__(self, profile):
        options = webdriver.ChromeOptions()
        options.binary_location = tool("chromium", "chromium")
        for argument in (
                # As root there is no sandbox, and containers have a small /dev/shm.
                "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu",
                "--no-first-run", "--disable-background-networking", "--disable-component-update",
                f"--user-data-dir={profile}"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(
            options=options, service=Service(tool("chromedriver", "chromium-driver")))
        self.driver.set_page_load_timeout(PATIENCE)
        self.driver.set_script_timeout(PATIENCE)

    def close(self):
        self.driver.quit()

    def open(self, url):
        """A page in light colours on a wide screen; what the browser logged of the page before is dropped."""
        self.show()
        self.log()
        self.driver.get(url)
        self.until(lambda: self.script("return document.readyState") == "complete", "the page")

    def show(self, *, dark=False, width=1280, calm=False):
        """The page as these people see it."""
        self._tell("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce" if calm else "no-preference"}])
        self._tell("Emulation.setDeviceMetricsOverride", width=width, height=1000,
                   deviceScaleFactor=1, mobile=False)

    def _tell(self, command, **parameters):
        return self.driver.execute_cdp_cmd(command, parameters)

    def script(self, text, *arguments):
        return self.driver.execute_script(text, *arguments)

    def fetch(self, url, options=None):
        """What a script of the open page gets: `{status, text}`, or `{error}`."""
        return self.driver.execute_async_script(
            """const [url, options, done] = arguments;
            fetch(url, options).then(async (answer) => done({status: answer.status, text: await answer.text()}))
              .catch((error) => done({error: String(error)}));""", url, options or {})

    def log(self):
        """What the browser logged since the last call: violations of the policy, errors, failed requests."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    # What is seen

    def until(self, is_true, what="it", seconds=PATIENCE):
        end = time.monotonic() + seconds
        while not (value := is_true()):
            assert time.monotonic() < end, f"{what} was not seen in {seconds} s; {self.text('status')}"
            time.sleep(0.02)  # between two looks, not in place of one
        return value

    def find(self, id):
        return self.driver.find_element(By.ID, id)

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, id):
        """Of an element whose text nobody may see, too."""
        return self.script("return document.getElementById(arguments[0])?.textContent ?? ''", id)

    def until_status(self, *words):
        """Waits for a sentence that has all of the words."""
        return self.until(
            lambda: all(word in self.text("status") for word in words) and self.text("status"),
            f"a status with {words}")

    def answer(self):
        """What the model has written, as it stands in the page."""
        return self.script(
            "return [...document.querySelectorAll('#text [data-at]')].map((span) => span.textContent).join('')")

    # What is done

    def fill(self, **fields):
        for name, value in fields.items():
            (field,) = self.all(f'#form [name="{name}"]')
            field.clear()
            field.send_keys(value)

    def click(self, id):
        self.find(id).click()

    def point_at(self, element):
        ActionChains(self.driver).move_to_element(element).perform()

    def press(self, *keys):
        """Keys wherever the focus is; of several that are held, the last is pressed."""
        chain = ActionChains(self.driver)
        for key in keys[:-1]:
            chain.key_down(key)
        chain.send_keys(keys[-1])
        for key in reversed(keys[:-1]):
            chain.key_up(key)
        chain.perform()

    def can(self, id):
        """Whether a button can be used now."""
        return self.find(id).get_attribute("aria-disabled") != "true"

    def focused(self):
        return self.script("return document.activeElement.id")

    def run(self):
        """Runs what the form says, by keyboard."""
        self.press(Keys.CONTROL, Keys.ENTER)

    def violations(self):
        """Rules of axe that the page breaks, with the elements."""
        if not self.script("return typeof axe === 'object'"):
            self.script(AXE)
        found = self.driver.execute_async_script(
            "const done = arguments[0];"
            "axe.run().then(done, (error) => done({violations: [{id: String(error), nodes: []}]}));")
        return [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found["violations"]]
