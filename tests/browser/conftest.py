"""One headless Chromium for all tests, and the fleet's page in it, opened as from a ticket's attachment."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cado_ops.model import Caller, Disks, ErrorInfo, Failure, Grant, Held, LeftOut, Standing
from cado_ops.render.fleet_list import FleetCell
from cado_ops.render.fleet_page import Fleet, fleet_page

PROD, LAB = "222222222222", "444444444444"
EU, US = "eu-west-1", "us-east-1"
# In attributes and out of them, and through a closing tag.
HOSTILE = "<img src=x onerror=document.title='hit'>\"'><script>document.title='hit'</script>"
# Nothing of Chromium's own may look like a request of the page's.
FLAGS = (
    "--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--window-size=1200,900",
)  # fmt: skip


def standing(number: int, name: str, **fields: Any) -> Standing:
    usual: dict[str, Any] = {
        "instance_id": f"i-{number:017x}", "name": name, "state": "running", "tag": "True", "tagging": "tagged",
        "claims": (), "ssm": "Online", "disks": Disks.READY,
    }  # fmt: skip
    return Standing(**(usual | fields))


DUE = Held("IR-7", "2026-11-20T12:00:00Z", True)
THERE = {
    EU: (
        standing(1, "web-10", claims=(DUE,)),
        standing(2, "web-9", ssm="ConnectionLost", grants=(Held("IR-42", "2026-12-01T12:00:00Z", False),)),
        standing(3, ""),
        standing(4, HOSTILE, tag=HOSTILE, tagging="otherwise", disks=Disks.NO_GRANT, remarks=("on the key abc",)),
    ),
    US: (
        standing(5, "db-01", tag=None, tagging="untagged", ssm=None, disks=Disks.UNREAD, remarks=("not read",)),
        standing(6, "db-02", tag="true", tagging="mistagged", disks=Disks.NOT_READY, remarks=("no EBS volume",)),
    ),
}
GRANT = Grant(
    PROD, EU, f"arn:aws:kms:{EU}:{PROD}:key/abc", "f" * 64, None, f"arn:aws:iam::{PROD}:role/Cado", ("Decrypt",)
)


def fleet() -> Fleet:
    def cell(region: str) -> FleetCell:
        there = THERE[region]
        item = {
            "account": PROD, "region": region, "instances": len(there), "tagged": 2, "mistagged": 1,
            "ssm_online": len(there) if region == EU else None, "disks_ready": 0, "grants": 1, "due": 1,
        }  # fmt: skip
        return FleetCell(item, there, ((GRANT, DUE),) if region == EU else ())

    denied = ErrorInfo("AccessDenied", f"not authorized {HOSTILE}", "ask for it")
    return Fleet(
        cells=[cell(EU), cell(US)],
        failures=[Failure(LAB, None, "assume-role", denied), Failure(PROD, US, "ssm", denied)],
        left_out=[LeftOut("555555555555", None, "the account is SUSPENDED", "Old")],
        summary={"targets": 3, "targets_failed": 1, "targets_left_out": 1, "instances": 6},
        caller=Caller("111111111111", "arn:aws:sts::111111111111:assumed-role/ops/me", "http://127.0.0.1:1"),
        made="2026-11-24T08:00:00Z",
        version="9.9",
        names={PROD: f"Production {HOSTILE}"},
    )


@dataclass
class Shown:
    """A page in the browser."""

    driver: Any
    url: str

    def open(self) -> Shown:
        """Afresh, with nothing of an earlier test left."""
        self.cdp("Emulation.clearDeviceMetricsOverride")
        self.cdp("Emulation.setEmulatedMedia", media="", features=[])
        self.cdp("Emulation.setScriptExecutionDisabled", value=False)
        self.driver.get("about:blank")
        self.driver.get_log("browser")
        self.driver.get_log("performance")
        self.driver.get(self.url)
        return self

    def cdp(self, command: str, **parameters: Any) -> Any:
        return self.driver.execute_cdp_cmd(command, parameters)

    def all(self, selector: str) -> list[Any]:
        return self.driver.find_elements("css selector", selector)  # type: ignore[no-any-return]

    def one(self, selector: str) -> Any:
        [found] = self.all(selector)
        return found

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def names(self, region: str = EU) -> list[str]:
        """The names of the instances that a region's list shows, from top to bottom."""
        rows = f"document.querySelectorAll('#in-{PROD}-{region} table.instances tbody tr')"
        shown = "filter((row) => row.checkVisibility()).map((row) => row.cells[1].innerText)"
        return list(self.run(f"return [...{rows}].{shown}"))

    def press(self, *keys: str) -> None:
        """Types where the focus is."""
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def focused(self) -> str:
        return str(self.run("return document.activeElement.textContent.trim()"))

    def told(self) -> list[str]:
        """What the console has to say, violations of the page's own policy among it."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Every address that was asked for since the page was opened."""
        events = (json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance"))
        return [
            event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"
        ]


@pytest.fixture(scope="session")
def _driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or chromedriver is None:
        pytest.skip("there is no chromium with its chromedriver here: on Debian, apt-get install chromium-driver")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(executable_path=chromedriver)
    driver = webdriver.Chrome(options=options, service=service)
    yield driver
    driver.quit()


@pytest.fixture(scope="session")
def _fleet(_driver: Any, tmp_path_factory: pytest.TempPathFactory) -> Shown:
    return _written(_driver, tmp_path_factory.mktemp("page") / "fleet.html", fleet())


def _written(driver: Any, path: Path, what: Fleet) -> Shown:
    path.write_text("".join(fleet_page(what)), encoding="utf-8")
    return Shown(driver, path.as_uri())


@pytest.fixture
def shown(_fleet: Shown) -> Shown:
    return _fleet.open()


@pytest.fixture
def show(_driver: Any, tmp_path: Path) -> Callable[[Fleet], Shown]:
    """Another fleet's page."""
    return lambda what: _written(_driver, tmp_path / "other.html", what).open()
