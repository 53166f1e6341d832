"""deploy/monitoring, as it is, with a real Prometheus that scrapes the built shim: every metric that a rule or a
panel names is there, each expression has an answer, and each alert fires where it should.
"""
# SPDX-License-Identifier: Apache-2.0

import json
import re
import subprocess
import time

import httpx
import pytest

import completions
from harness import PATIENCE, Process
from PythonSupport.ports import free_ports
from PythonSupport.programs import ROOT
from PythonSupport.surroundings import tool

FOLDER = ROOT / "deploy/monitoring"
# What promtool says of names that the contract with clients of worker-http fixes: docs/http-api.md.
FIXED_NAMES = ("worker_",)


def promtool(*arguments, input=None):
    return subprocess.run([tool("promtool", "prometheus"), *map(str, arguments)], input=input, text=True,
                          capture_output=True, timeout=PATIENCE, check=False)


def expressions_of_panels():
    """Title and expression, as Grafana would ask for it with everything selected."""
    dashboard = json.loads((FOLDER / "dashboard.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            expression = target["expr"].replace("$__rate_interval", "1m")
            yield panel["title"], re.sub(r"\$(job|instance)\b", ".*", expression)


class Prometheus(Process):
    """Debian's, with the configuration of deploy/ but for the target and the interval."""

    def __init__(self, folder, shim):
        (self.port,) = free_ports(1)
        text = (FOLDER / "prometheus.yml").read_text()
        for old, new in (("127.0.0.1:3000", f"127.0.0.1:{shim.port}"), ("15s", "500ms")):
            assert old in text
            text = text.replace(old, new)
        (folder / "prometheus.yml").write_text(text)
        (folder / "rules.yml").write_text((FOLDER / "rules.yml").read_text())
        super().__init__(
            [tool("prometheus", "prometheus"), "--config.file", folder / "prometheus.yml", "--storage.tsdb.path",
             folder / "data", "--web.listen-address", f"127.0.0.1:{self.port}"], folder / "prometheus.log")
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}/api/v1", timeout=PATIENCE)

    def get(self, path, **parameters):
        body = self.client.get(f"/{path}", params=parameters).json()
        assert body["status"] == "success", (parameters, body)
        return body["data"]

    def query(self, expression):
        return self.get("query", query=expression)["result"]

    def until(self, is_there, what):
        end = time.monotonic() + PATIENCE
        while True:
            try:
                if is_there():
                    return
            except httpx.TransportError:
                pass
            assert self.is_running() and time.monotonic() < end, f"{what}\n{self.tail()}"
            time.sleep(0.05)  # between two questions, not in place of one


@pytest.fixture(scope="module")
def shim(tmp_path_factory, shim_binary, stub_binary):
    with completions.served(
            tmp_path_factory.mktemp("shim"), shim_binary, stub_binary, worker=["--engine", "stub:ms=1"]) as shim:
        yield shim


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory, shim):
    """After two scrapes with a job between them, so that rates have values."""
    prometheus = Prometheus(tmp_path_factory.mktemp("prometheus"), shim)
    prometheus.until(lambda: prometheus.query("llorch_worker_up == 1"), "no worker is up")
    shim.execute(job_id="a", max_tokens=30)
    prometheus.until(lambda: prometheus.query('rate(llorch_jobs_total{outcome="end"}[1m]) > 0'), "no job")
    yield prometheus
    prometheus.client.close()
    prometheus.kill()


@pytest.mark.parametrize("arguments", [
    ("check", "config", "prometheus.yml"), ("check", "rules", "rules.yml"), ("test", "rules", "rules.test.yml")],
    ids=" ".join)
def test_promtool_is_content(arguments):
    done = promtool(*arguments[:2], FOLDER / arguments[2])
    assert done.returncode == 0 and "FAILED" not in done.stdout, done.stdout + done.stderr


def test_every_alert_has_its_test():
    alerts = re.findall(r"- alert: (\w+)", (FOLDER / "rules.yml").read_text())
    tested = set(re.findall(r'alertname="(\w+)"', (FOLDER / "rules.test.yml").read_text()))
    assert len(alerts) >= 10 and set(alerts) == tested


def test_the_page_pleases_promtool(shim):
    page = httpx.get(f"{shim.url}/metrics", timeout=PATIENCE).text
    done = promtool("check", "metrics", input=page)
    complaints = [line for line in (done.stdout + done.stderr).splitlines()
                  if line and not line.startswith(FIXED_NAMES)]
    assert not complaints, complaints


def test_every_metric_that_is_named_is_there(prometheus):
    texts = [expression for _, expression in expressions_of_panels()]
    texts.append((FOLDER / "rules.yml").read_text())
    names = set(re.findall(r"\bllorch_[a-z_]+", "\n".join(texts)))
    # A histogram's family is named where its buckets are meant.
    missing = [name for name in sorted(names) if not prometheus.query(f'{{__name__=~"{name}(_bucket)?"}}')]
    assert len(names) > 15 and not missing, missing


def test_every_metric_that_is_there_is_shown(prometheus):
    """But sums and counts of histograms, whose buckets are shown."""
    shown = "\n".join(expression for _, expression in expressions_of_panels())
    there = {series["metric"]["__name__"] for series in prometheus.query('{__name__=~"llorch_.+"}')}
    histograms = {name.removesuffix("_bucket") for name in there if name.endswith("_bucket")}
    plain = {name for name in there if re.sub("_(sum|count)$", "", name) not in histograms}
    assert not [name for name in sorted(plain) if not re.search(rf"\b{name}\b", shown)]


def test_every_panel_has_an_answer(prometheus):
    """Rates of what did not happen are 0, which is an answer; quantiles of them are not a number, one too."""
    empty = [title for title, expression in expressions_of_panels() if not prometheus.query(expression)]
    # What only shows where something is wrong.
    assert set(empty) <= {"Requests refused"}, empty


def test_every_rule_is_evaluated_and_none_fires(prometheus):
    def rules():
        return [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
    prometheus.until(lambda: rules() and all(rule["health"] != "unknown" for rule in rules()), "rules wait")
    assert {rule["name"]: rule.get("lastError") for rule in rules() if rule["health"] != "ok"} == {}
    assert [rule["name"] for rule in rules() if rule["state"] == "firing"] == []


def test_the_dashboard_can_be_imported():
    """What Grafana needs: an identity, a source that is chosen at the import, and places that do not overlap."""
    dashboard = json.loads((FOLDER / "dashboard.json").read_text())
    assert dashboard["uid"] and dashboard["title"] and dashboard["schemaVersion"] >= 36
    assert dashboard["templating"]["list"][0]["type"] == "datasource"
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        mine = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & mine, panel["title"]
        cells |= mine
        for target in panel.get("targets", []):
            assert target["datasource"]["uid"] == "${datasource}", panel["title"]
