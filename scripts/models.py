"""Cuts the service models of the installed botocore down to what the gateways call: see
cado_ops/aws/service_models.py.

`scripts/models` runs it; a test fails where what is kept is not what this makes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from botocore.loaders import Loader

from cado_ops.aws.service_models import ENDPOINTS, OPERATIONS, cut_endpoints, cut_model, fingerprint

FOLDER = Path(__file__).resolve().parents[1] / "cado_ops" / "aws" / "models"


def made() -> dict[str, str]:
    """The text of each file, by its name."""
    loader = Loader(include_default_search_paths=False, extra_search_paths=[Loader.BUILTIN_DATA_PATH])
    files = {f"{ENDPOINTS}.json": _text(ENDPOINTS, cut_endpoints(loader.load_data(ENDPOINTS)))}
    for service, operations in OPERATIONS.items():
        missing = set(operations) - loader.load_service_model(service, "service-2")["operations"].keys()
        if missing:
            raise SystemExit(f"botocore's {service} knows no {', '.join(sorted(missing))}")
        name = f"{service}/{loader.determine_latest_version(service, 'service-2')}/service-2"
        files[f"{service}.json"] = _text(
            name, cut_model(loader.load_service_model(service, "service-2"), operations)
        )
    return files


def _text(name: str, cut: dict[str, Any]) -> str:
    return json.dumps({"of": fingerprint(name), "cut": cut}, separators=(",", ":")) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for file, text in made().items():
        (FOLDER / file).write_text(text)
        print(f"{file}: {len(text) // 1024} KB")
