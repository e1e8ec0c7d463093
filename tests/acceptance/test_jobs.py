"""Jobs from submit to receipt on real parts: files, logs, limits, refusals, retries and what each costs."""

import json
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.short_grid import CHEAP, DEAR, ShortGrid

pytestmark = pytest.mark.docker

DENIED_IMAGE = "sha256:" + "ef" * 32
EXHAUST_MEMORY = "sleep 1; exec awk 'BEGIN { s = \"x\"; while (1) s = s s }'"
ENGINE_CLOCK_MS = 100
"""the engine notes a start a moment after the process runs, so a sleep may be billed for that much less"""
ONLY_DEAR = {"domains": {"allow": ["dear-lab/*"]}}
LOOK_AROUND = """
id -u
grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status
touch /root-file 2>/dev/null && echo wrote-root
awk '{ print "mount", $2 }' /proc/self/mounts
ls /sys/class/net | sed 's/^/net /'
cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null | sed 's/^/memory /'
cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null | sed 's/^/pids /'
cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu.max 2>/dev/null | sed 's/^/cpu /'
ls /var/run/docker.sock 2>/dev/null
wget -T 1 -q -O - http://169.254.169.254/ 2>/dev/null && echo reached-metadata
true
"""


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShortGrid]:
    """Two providers; the dear one serves neither the wallet `shunned` nor one image."""
    running = ShortGrid(folder=tmp_path_factory.mktemp("jobs"))
    try:
        running.start_chain()
        running.start_node()
        running.open_wallet()
        shunned = running.open_wallet("shunned")
        rules = {"buyers": {"deny": [shunned]}, "images": {"deny": [DENIED_IMAGE]}}
        running.start_provider(CHEAP)
        running.start_provider(DEAR, lambda text: f"{text}rules: {json.dumps(rules)}\n")
        running.await_offers(2)
        yield running
    finally:
        running.clean()


def test_files_go_in_and_come_out_checked_by_their_hashes(grid: ShortGrid, tmp_path: Path) -> None:
    content = bytes(range(256)) * 400
    (grid.folder / "data.bin").write_bytes(content)
    script = "cp in/data.bin out/copy.bin; sha256sum in/data.bin | cut -d' ' -f1 > out/sums/a.txt"
    job = grid.submit(f"mkdir out/sums; {script}", inputs=["data.bin"], outputs=["out/copy.bin", "sums"])
    ended = grid.await_closed(job)
    assert ended["state"] == "succeeded"
    fetched = grid.bingwang("fetch", job, str(tmp_path))["outputs"]
    assert {one["path"] for one in fetched} == {"copy.bin", "sums/a.txt"}
    for one in fetched:
        assert sha256(Path(one["file"]).read_bytes()).hexdigest() == one["sha256"]
    assert (tmp_path / "copy.bin").read_bytes() == content
    assert (tmp_path / "sums/a.txt").read_text().strip() == sha256(content).hexdigest()


def test_logs_follow_a_running_job_and_end_with_it(grid: ShortGrid) -> None:
    job = grid.submit("for i in 1 2 3 4 5; do echo line $i; sleep 2; done")
    following = subprocess.Popen(
        [sys.executable, "-m", "node.cli", "logs", "-f", job],
        env=grid.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    with following:
        assert following.stdout is not None
        assert following.stdout.readline() == "line 1\n"
        assert grid.job(job)["state"] in ("starting", "running")
        assert following.stdout.read() == "line 2\nline 3\nline 4\nline 5\n"
        assert following.wait(30) == 0
    assert grid.await_closed(job)["state"] == "succeeded"
    assert grid.bingwang("logs", job, "--offset", "7")["log"] == "line 2\nline 3\nline 4\nline 5\n"


@pytest.mark.parametrize(
    ("script", "code", "exit_code"),
    [("sleep 1; exit 3", "exit-code", 3), (EXHAUST_MEMORY, "out-of-memory", 137)],
    ids=["by itself", "out of memory"],
)
def test_a_failed_job_says_how_and_pays_until_then(
    grid: ShortGrid, script: str, code: str, exit_code: int
) -> None:
    outcome = grid.command("submit", str(grid.job_file(script)), "--wait", "--json")
    assert outcome.code == 1
    result = outcome.plain["result"]
    assert (result["state"], result["code"], result["exit_code"]) == ("failed", code, exit_code)
    (lease,) = grid.await_closed(outcome.plain["job"])["leases"]
    assert 1_000 - ENGINE_CLOCK_MS <= lease["receipt"]["milliseconds"] < 10_000
    assert 0 < int(lease["paid"]) < int(lease["escrow"])
    assert int(lease["paid"]) + int(lease["refunded"]) == int(lease["escrow"])


def test_a_disk_that_is_full_ends_the_writing_and_not_the_host(grid: ShortGrid) -> None:
    job = grid.submit("dd if=/dev/zero of=out/big bs=1M count=64 2>&1; echo status $?; wc -c < out/big")
    assert grid.await_closed(job)["state"] == "succeeded"
    lines = grid.bingwang("logs", job)["log"].splitlines()
    assert "status 1" in lines
    assert any("No space left" in line for line in lines)
    assert 16 << 20 <= int(lines[-1]) < 20 << 20


def test_a_job_beyond_its_duration_is_stopped_and_pays_exactly_its_escrow(grid: ShortGrid) -> None:
    ended = grid.await_closed(grid.submit("sleep 100", max_duration="3s"))
    (lease,) = ended["leases"]
    assert ended["state"] == "failed"
    assert ended["cause"]
    assert lease["receipt"]["milliseconds"] == 3_000
    assert (lease["paid"], lease["refunded"]) == (lease["escrow"], "0")


def test_a_job_whose_agent_dies_runs_on_the_next_provider_and_the_first_lease_is_refunded(
    grid: ShortGrid,
) -> None:
    job = grid.submit("sleep 3; echo ran", retry=1, max_duration="20s")
    first = grid.await_state(job, "running")["leases"][0]
    assert first["terms"]["provider"] == grid.providers["cheap"]
    grid.end("cheap", 9)
    ended = grid.await_closed(job)
    lost, served = ended["leases"]
    assert ended["state"] == "succeeded"
    assert lost["terms"]["provider"] == grid.providers["cheap"]
    assert served["terms"]["provider"] == grid.providers["dear"]
    assert int(lost["paid"]) + int(lost["refunded"]) == int(lost["escrow"])
    assert int(lost["refunded"]) * 2 > int(lost["escrow"])
    assert grid.bingwang("logs", job)["log"].splitlines()[-1] == "ran"
    grid.run_provider("cheap")
    grid.await_offers(2)
    grid.until("the dead agent's container is gone", lambda: None if containers(grid, "cheap") else True)


@pytest.mark.parametrize(
    ("wallet", "keys", "code"),
    [("shunned", {}, "buyer-not-served"), ("default", {"image": DENIED_IMAGE}, "image-not-allowed")],
    ids=["buyer", "image"],
)
def test_what_an_owner_does_not_serve_is_refused_and_refunded(
    grid: ShortGrid, wallet: str, keys: dict[str, object], code: str
) -> None:
    job = grid.submit("true", "--wallet", wallet, **ONLY_DEAR, **keys)
    ended = grid.await_closed(job)
    assert (ended["state"], ended["code"]) == ("refused", code)
    assert "owner" in ended["cause"]
    (lease,) = ended["leases"]
    assert (lease["paid"], lease["because"]) == ("0", "released")


def test_an_attached_buyer_agrees_to_usage_with_its_own_key(grid: ShortGrid) -> None:
    outcome = grid.command("submit", str(grid.job_file("echo seen; sleep 4; exit 0")), "--attach", "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.plain["result"]["state"] == "succeeded"
    assert "seen" in outcome.err
    (lease,) = grid.await_closed(outcome.plain["job"])["leases"]
    assert lease["terms"]["signer"] == lease["terms"]["buyer"] == grid.bingwang("wallet", "show")["address"]
    assert lease["receipt"]["last"] is True
    assert 4_000 - ENGINE_CLOCK_MS <= lease["receipt"]["milliseconds"] < 8_000
    prove_to_a_stranger(grid, outcome.plain["job"], lease)


def prove_to_a_stranger(grid: ShortGrid, job: str, lease: dict[str, Any]) -> None:
    """Its first usage line is under the root that the chain shows; a line that says otherwise is not."""
    lines = grid.bingwang("usage", "lines", job)["lines"]
    assert len(lines) >= 2
    assert (lines[-1]["last"], lines[-1]["evidence"]) == (True, lease["receipt"]["evidence"])
    file = grid.folder / "proof.json"
    grid.bingwang("usage", "prove", job, "--line", "0", "--out", str(file))
    verify = ("usage", "verify", str(file), "--rpc", grid.rpc_url, "--json")
    proven = grid.command(*verify).plain
    assert (proven["line"], proven["milliseconds"]) == (0, lines[0]["milliseconds"])
    assert proven["transaction"] in lease["transactions"]["settled"]
    forged = json.loads(file.read_text())
    forged["line"]["milliseconds"] += 1
    file.write_text(json.dumps(forged))
    refused = grid.command(*verify)
    assert (refused.code, refused.plain["code"]) == (3, "usage-not-proven")


def test_a_draining_agent_takes_no_new_lease_until_told_to(grid: ShortGrid) -> None:
    folder = str(grid.folder / "cheap")
    running = grid.submit("sleep 5")
    grid.await_state(running, "running")
    grid.bingwang("provider", "drain", "--dir", folder)
    grid.until("the offer is out of the book", lambda: True if len(offers(grid)) == 1 else None)
    (lease,) = grid.await_closed(grid.submit("true"))["leases"]
    assert lease["terms"]["provider"] == grid.providers["dear"]
    assert grid.await_closed(running)["state"] == "succeeded"
    grid.bingwang("provider", "drain", "--undo", "--dir", folder)
    grid.await_offers(2)


def test_a_resting_bid_is_withdrawn_without_a_transaction(grid: ShortGrid) -> None:
    before = grid.bingwang("wallet", "show")["balance"]
    job = grid.submit("true", max_price="0.001/h", wait="10m")
    assert grid.job(job)["state"] == "resting"
    cancelled = grid.bingwang("cancel", job)
    assert (cancelled["how"], cancelled["transactions"]) == ("withdrawn", [])
    assert grid.job(job)["state"] == "cancelled"
    assert grid.bingwang("wallet", "show")["balance"] == before
    assert grid.command("cancel", job, "--json").plain["code"] == "job-is-final"


def test_a_dry_run_shows_who_would_run_it_who_would_not_and_why(grid: ShortGrid) -> None:
    known = {found["job"] for found in grid.bingwang("jobs")["jobs"]}
    cheap, dear = grid.providers["cheap"], grid.providers["dear"]
    both = dry_run(grid)
    assert [one["provider"] for one in both["eligible"]] == [cheap, dear]
    assert both["rate"] == both["eligible"][0]["rate"]
    one_domain = dry_run(grid, **ONLY_DEAR)
    assert [one["provider"] for one in one_domain["eligible"]] == [dear]
    assert [(one["provider"], one["dimensions"]) for one in one_domain["excluded"]] == [(cheap, ["domain"])]
    too_large = dry_run(grid, resources={"cpus": "9"})
    assert not too_large["eligible"]
    assert all("cpu" in one["dimensions"] for one in too_large["excluded"])
    too_cheap = dry_run(grid, max_price="0.001/h")
    assert too_cheap["would_match_at"] == both["rate"]
    assert {found["job"] for found in grid.bingwang("jobs")["jobs"]} == known


def test_the_lists_have_what_they_promise(grid: ShortGrid) -> None:
    job = grid.submit("sleep 1", name="listed")
    ended = grid.await_closed(job)
    (lease,) = ended["leases"]
    offer = next(one for one in grid.bingwang("search", "--live")["offers"] if one["name"] == "cheap")
    assert offer["domain"] == "cheap-lab/rotterdam"
    assert offer["prices"]["core"] == "36"
    assert offer["live"] is True
    bill = grid.bingwang("receipt", job)
    assert (bill["paid"], bill["refunded"]) == (lease["paid"], lease["refunded"])
    assert bill["milliseconds"] == lease["receipt"]["milliseconds"]
    assert bill["leases"][0]["transactions"]["opened"]
    names = [one["name"] for one in grid.bingwang("events")["events"] if lease["lease"] in str(one["args"])]
    assert names[0] == "LeaseOpened"
    assert names[-1] == "LeaseClosed"
    from_chain = grid.bingwang("events", "--rpc", grid.rpc_url)["events"]
    from_node = grid.bingwang("events")["events"]
    assert [one["transaction"] for one in from_chain] == [one["transaction"] for one in from_node]
    status = grid.until("the agent has told what it earned", lambda: earned(grid))
    assert status["engine"]["ok"]
    assert status["node"]["ok"]
    assert status["chain"]["ok"]
    assert status["address"] == grid.providers["cheap"]


def test_a_job_sees_nothing_but_its_own_and_can_gain_nothing(grid: ShortGrid) -> None:
    job = grid.submit(LOOK_AROUND)
    assert grid.await_closed(job)["state"] == "succeeded"
    lines = grid.bingwang("logs", job)["log"].splitlines()
    assert int(lines[0]) > 0
    status = dict(line.split(":\t") for line in lines if ":\t" in line)
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert "wrote-root" not in lines
    assert "reached-metadata" not in lines
    assert [line for line in lines if line.startswith("net ")] == ["net lo"]
    mounts = {line.removeprefix("mount ") for line in lines if line.startswith("mount ")}
    own = {mount for mount in mounts if mount.split("/")[1] not in ("proc", "sys", "dev")}
    assert own == {"/", "/tmp", "/job", "/etc/resolv.conf", "/etc/hostname", "/etc/hosts"}
    limits = dict(line.split(" ", 1) for line in lines if line.split(" ")[0] in ("memory", "pids", "cpu"))
    assert int(limits["memory"]) == 64 << 20
    assert int(limits["pids"]) > 0
    assert int(limits["cpu"].split()[0]) == 10_000


def dry_run(grid: ShortGrid, **keys: object) -> Any:
    return grid.bingwang("submit", str(grid.job_file("true", **keys)), "--dry-run")


def offers(grid: ShortGrid) -> list[Any]:
    return list(grid.bingwang("search", "--live")["offers"])


def earned(grid: ShortGrid) -> dict[str, Any] | None:
    status: dict[str, Any] = grid.bingwang("provider", "status", "--dir", str(grid.folder / "cheap"))
    return status if int(status["earned"]) > 0 and not status["problems"] else None


def containers(grid: ShortGrid, name: str) -> list[str]:
    label = f"label=bingwang.agent={grid.providers[name]}"
    listed = subprocess.run(
        ["docker", "ps", "-aq", "--filter", label],
        env=grid.environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return listed.stdout.split()
