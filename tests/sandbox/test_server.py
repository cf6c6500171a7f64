"""The server itself, what tests reach in with, the environment, and the ways to start it."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import botocore.session
import pytest

from cado_ops.sandbox import (
    Sandbox,
    SandboxExtraMissing,
    apply_environment,
    format_environment,
    require_extra,
    run,
)
from cado_ops.sandbox.command import NOTICE, _Signals

PRODUCTION = "222222222222"


def test_importing_the_package_loads_neither_moto_nor_flask():
    code = "import sys, cado_ops.sandbox; print({'moto', 'flask', 'werkzeug', 'boto3'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_missing_extra(monkeypatch):
    require_extra()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SandboxExtraMissing, match=r"pip install 'cado-ops\[sandbox\]'") as caught:
        require_extra()
    assert isinstance(caught.value, ImportError)


def test_it_listens_on_loopback_only(sandbox):
    assert sandbox._server.server_address[0] == "127.0.0.1"


def test_calls_are_recorded(client, sandbox):
    ec2 = client("ec2", PRODUCTION, "us-east-1")
    sandbox.calls.clear()
    ec2.describe_instances()
    (call,) = sandbox.calls
    assert (call.service, call.action, call.account, call.region) == (
        "ec2",
        "DescribeInstances",
        PRODUCTION,
        "us-east-1",
    )
    assert call.access_key.startswith("ASIA")


def test_intercept_throttles_and_denies(client, sandbox, refusal):
    ec2, kms = client("ec2", PRODUCTION), client("kms", PRODUCTION)

    def throttle(request):
        if request.region == "eu-west-1" and request.account == PRODUCTION:
            return request.error("ThrottlingException", "Rate exceeded", 400)
        return None

    sandbox.intercept = throttle
    assert refusal(ec2.describe_instances) == ("ThrottlingException", "Rate exceeded")
    assert refusal(kms.list_keys) == ("ThrottlingException", "Rate exceeded")
    assert client("sts").get_caller_identity()["Account"] == "111111111111"
    sandbox.reset()
    assert sandbox.intercept is None


def test_operations_and_services_that_are_not_there(client, refusal):
    for call, code in (
        (client("ec2").describe_fpga_images, "InvalidAction"),
        (client("sts").get_delegated_access_token, "InvalidAction"),
        (client("kms").describe_custom_key_stores, "UnknownOperationException"),
        (client("ssm").describe_activations, "UnknownOperationException"),
        (client("s3").list_buckets, "UnknownOperationException"),
    ):
        parameters = {"TradeInToken": "x"} if "delegated" in call.__name__ else {}
        got, message = refusal(call, **parameters)
        assert got == code
        assert message.startswith("The sandbox does not simulate")


def test_ten_thousand_instances_and_many_clients(client, sandbox):
    ids = sandbox.add_instances("111111111111", "us-east-1", 10_000, tags={"Fleet": "load"})
    assert len(set(ids)) == 10_000
    ec2 = client("ec2", None, "us-east-1")
    chunks = [ids[start : start + 200] for start in range(0, 6400, 200)]
    with ThreadPoolExecutor(32) as pool:
        list(pool.map(lambda chunk: ec2.create_tags(Resources=chunk, Tags=[{"Key": "T", "Value": "1"}]), chunks))
    answer = ec2.describe_instances(MaxResults=1000, Filters=[{"Name": "tag:T", "Values": ["1"]}])
    assert sum(len(reservation["Instances"]) for reservation in answer["Reservations"]) == 1000


def test_two_sandboxes_share_the_organisation(sandbox, client):
    with Sandbox() as other:
        assert other.endpoint_url != sandbox.endpoint_url
        sandbox.add_instances(PRODUCTION, "eu-west-1", 1)
        other.reset()
    filters = [{"Name": "tag:Team", "Values": ["load"]}]
    assert client("ec2", PRODUCTION).describe_instances(Filters=filters)["Reservations"] == []


HOSTILE = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "AWS_PROFILE": "prod",
    "AWS_ENDPOINT_URL_EC2": "https://ec2.example",
    "AWS_ENDPOINT_URL_STS": "https://sts.example",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
    "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/real",
    "AWS_WEB_IDENTITY_TOKEN_FILE": "/nonexistent/token",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.2/credentials",
    "HTTP_PROXY": "http://proxy.example:3128",
    "NO_PROXY": "intranet.example",
}


def test_the_environment_leads_nowhere_else(sandbox):
    environment = sandbox.environment(HOSTILE)
    for name in HOSTILE:
        if name.startswith("AWS_") and name != "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS":
            assert environment[name] is None
    assert environment["NO_PROXY"] == "intranet.example,127.0.0.1,localhost,::1"
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        assert Path(environment[name]).read_bytes() == b""


def test_runs_in_the_sandbox_are_journaled_apart(sandbox):
    folder = sandbox.environment({})["CADO_OPS_JOURNAL_DIR"]
    assert folder == str(Path(sandbox.environment({})["AWS_CONFIG_FILE"]).parent / "runs")
    assert sandbox.environment({"CADO_OPS_JOURNAL_DIR": "/named"})["CADO_OPS_JOURNAL_DIR"] == "/named"


def test_an_sdk_under_the_environment_calls_the_sandbox(sandbox):
    code = (
        "import boto3\n"
        "for service in ('sts', 'ec2', 'kms', 'ssm', 'iam', 'organizations'):\n"
        "    print(boto3.client(service).meta.endpoint_url)\n"
        "print(boto3.client('sts').get_caller_identity()['Account'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=apply_environment(sandbox.environment(HOSTILE), HOSTILE),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [sandbox.endpoint_url] * 6 + ["111111111111"]


def test_ignoring_endpoint_urls_would_reach_aws(monkeypatch, sandbox):
    """Why the environment says "false": with "true" the SDK passes over AWS_ENDPOINT_URL as well."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", sandbox.endpoint_url)
    for value, reached in (("true", False), ("false", True)):
        monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", value)
        made = botocore.session.Session().create_client("sts", region_name="eu-west-1")
        assert (made.meta.endpoint_url == sandbox.endpoint_url) is reached


@pytest.mark.parametrize(
    ("shell", "expected"),
    [
        ("sh", "export A='it'\"'\"'s'\nunset B"),
        ("fish", "set -gx A 'it\\'s'\nset -e B"),
        ("powershell", "$Env:A = 'it''s'\nRemove-Item Env:B -ErrorAction SilentlyContinue"),
    ],
)
def test_formats(shell, expected):
    assert format_environment({"A": "it's", "B": None}, shell) == expected


def test_json_and_unknown_formats():
    assert json.loads(format_environment({"A": "x", "B": None}, "json")) == {"A": "x", "B": None}
    with pytest.raises(ValueError, match="unknown shell 'csh'"):
        format_environment({}, "csh")


def test_run_gives_the_command_its_world_and_its_exit_code(tmp_path):
    out = tmp_path / "seen.json"
    code = (
        "import boto3, json, os, sys\n"
        "seen = dict(os.environ, account=boto3.client('sts').get_caller_identity()['Account'])\n"
        f"json.dump(seen, open({str(out)!r}, 'w')); sys.exit(7)"
    )
    stderr = io.StringIO()
    assert run([sys.executable, "-c", code], stderr=stderr) == 7
    assert stderr.getvalue() == server_notice()
    seen = json.loads(out.read_text())
    assert seen["account"] == "111111111111"
    assert not Path(seen["AWS_CONFIG_FILE"]).parent.exists()


def server_notice():
    assert "does not enforce IAM" in NOTICE
    return NOTICE + "\n"


@pytest.mark.parametrize(
    ("command", "code"),
    [(["no-such-command-here"], 127), (["/"], 126), (["sh", "-c", "kill -9 $$"], 137)],
)
def test_run_exit_codes_of_a_shell(command, code):
    assert run(command, stderr=io.StringIO()) == code


@pytest.mark.skipif(shutil.which("sh") is None, reason="needs sh")
def test_ctrl_c_goes_to_the_command_and_the_sandbox_ends_after():
    inner = (
        "import signal, sys, time\n"
        "signal.signal(2, lambda *_: sys.exit(3))\n"
        "print('up', flush=True)\n"
        "time.sleep(30)"
    )
    outer = f"import sys\nfrom cado_ops.sandbox import run\nsys.exit(run([sys.executable, '-c', {inner!r}]))"
    process = subprocess.Popen(
        [sys.executable, "-c", outer],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout.readline() == "up\n"
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the sandbox and the command both
    _, stderr = process.communicate(timeout=10)
    assert process.returncode == 3
    assert "Traceback" not in stderr


def test_serve_until_ctrl_c():
    code = "import sys\nfrom cado_ops.sandbox import serve\nsys.exit(serve(shell='json'))"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    lines = ""
    while not lines.endswith("}\n"):
        lines += process.stdout.readline()
    environment = json.loads(lines)
    assert environment["AWS_ENDPOINT_URL"].startswith("http://127.0.0.1:")
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=10)
    assert process.returncode == 0
    assert environment["AWS_ENDPOINT_URL"] in stderr
    assert "Traceback" not in stderr
    assert not Path(environment["AWS_CONFIG_FILE"]).exists()


def test_sigterm_is_as_good_as_ctrl_c():
    ended, before = threading.Event(), signal.getsignal(signal.SIGTERM)
    with _Signals(ended):
        os.kill(os.getpid(), signal.SIGTERM)
        assert ended.wait(5)
    assert signal.getsignal(signal.SIGTERM) == before
