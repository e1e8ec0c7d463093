"""One container a lease: created once, started once, told apart from other agents' containers."""

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.market.errors import LostRace, Rejected, Unavailable
from provider_agent.runtimes.base import ContainerSpec, ContainerState, Phase, Stream
from provider_agent.runtimes.docker import DockerRuntime, container_name
from provider_agent.runtimes.engine import Engine

pytestmark = pytest.mark.docker

RunJob = Callable[..., tuple[ContainerState, str]]
Spec = Callable[..., ContainerSpec]


def test_a_job_runs_from_created_to_exited(runtime: DockerRuntime, spec: Spec) -> None:
    job = spec("sleep 0.2; exit 7")
    created = runtime.create(job)
    assert (created.phase, created.started_at, created.exit_code) == (Phase.CREATED, None, None)
    assert runtime.start(job.lease).phase is Phase.RUNNING
    ended = runtime.wait(job.lease, 10)
    assert ended is not None
    assert (ended.phase, ended.exit_code, ended.lease) == (Phase.EXITED, 7, job.lease)
    assert ended.started_at is not None
    assert ended.finished_at is not None
    assert 150 <= ended.finished_at - ended.started_at < 5000


def test_a_second_create_loses_the_race(runtime: DockerRuntime, spec: Spec) -> None:
    job = spec("true")
    runtime.create(job)
    with pytest.raises(LostRace) as lost:
        runtime.create(job)
    assert lost.value.code == "container-exists"


def test_a_second_start_loses_the_race_even_after_the_exit(runtime: DockerRuntime, spec: Spec) -> None:
    job = spec("true")
    runtime.create(job)
    runtime.start(job.lease)
    runtime.wait(job.lease, 10)
    with pytest.raises(LostRace) as lost:
        runtime.start(job.lease)
    assert lost.value.code == "container-started"


def test_a_program_that_does_not_exist_is_a_refused_start(runtime: DockerRuntime, spec: Spec) -> None:
    job = spec("", command=("/no/such/program",))
    runtime.create(job)
    with pytest.raises(Rejected) as refused:
        runtime.start(job.lease)
    assert refused.value.code == "container-refused"
    state = runtime.inspect(job.lease)
    assert state is not None
    assert state.phase is Phase.CREATED
    assert "no such file" in state.error


def test_an_image_that_does_not_exist_is_refused(runtime: DockerRuntime, spec: Spec) -> None:
    with pytest.raises(Rejected) as refused:
        runtime.create(spec("true", image="sha256:" + "0" * 64))
    assert refused.value.code == "image-not-found"


def test_agents_see_their_own_containers_alone(runtime: DockerRuntime, engine: Engine, spec: Spec) -> None:
    job = spec("true")
    runtime.create(job)
    stranger = DockerRuntime(engine, agent="stranger")
    assert stranger.list_owned() == ()
    assert [state.lease for state in runtime.list_owned()] == [job.lease]
    with pytest.raises(LostRace):
        stranger.remove(job.lease)


def test_what_is_gone_may_be_removed_again(runtime: DockerRuntime, spec: Spec) -> None:
    job = spec("true")
    runtime.create(job)
    runtime.remove(job.lease)
    runtime.remove(job.lease)
    assert runtime.inspect(job.lease) is None
    assert runtime.wait(job.lease, 1) is None
    assert runtime.usage(job.lease) is None


def test_stop_lets_a_job_finish_and_kill_does_not(runtime: DockerRuntime, spec: Spec) -> None:
    polite = spec("trap 'exit 5' TERM; while :; do sleep 0.05; done")
    rude = spec("sleep 60")
    for job in (polite, rude):
        runtime.create(job)
        runtime.start(job.lease)
    runtime.stop(polite.lease, 10)
    runtime.kill(rude.lease)
    codes = []
    for job in (polite, rude):
        state = runtime.wait(job.lease, 10)
        assert state is not None
        codes.append(state.exit_code)
    assert codes == [5, 137]
    runtime.kill(rude.lease)
    runtime.stop(rude.lease, 1)


def test_a_warned_job_may_run_on_and_is_not_waited_for(runtime: DockerRuntime, spec: Spec) -> None:
    job = spec("trap 'echo saving; trap - TERM' TERM; echo up; while :; do sleep 0.05; done")
    runtime.create(job)
    runtime.start(job.lease)
    log = runtime.logs(job.lease, follow=True)
    assert next(log).data == b"up\n"
    runtime.warn(job.lease)
    assert next(log).data == b"saving\n"
    state = runtime.inspect(job.lease)
    assert state is not None
    assert state.phase is Phase.RUNNING
    runtime.kill(job.lease)
    runtime.warn(job.lease)


def test_waiting_gives_up_at_its_time_limit(runtime: DockerRuntime, spec: Spec) -> None:
    job = spec("sleep 60")
    runtime.create(job)
    runtime.start(job.lease)
    state = runtime.wait(job.lease, 0.2)
    assert state is not None
    assert state.phase is Phase.RUNNING


def test_a_log_read_in_two_parts_is_the_log(runtime: DockerRuntime, spec: Spec) -> None:
    job = spec("echo one; sleep 0.05; echo two >&2; sleep 0.05; echo three")
    runtime.create(job)
    runtime.start(job.lease)
    followed = list(runtime.logs(job.lease, follow=True))
    assert b"".join(chunk.data for chunk in followed) == b"one\ntwo\nthree\n"
    assert [chunk.stream for chunk in followed] == [Stream.STDOUT, Stream.STDERR, Stream.STDOUT]
    for offset in range(15):
        rest = list(runtime.logs(job.lease, offset=offset))
        assert b"".join(chunk.data for chunk in rest) == b"one\ntwo\nthree\n"[offset:]
        assert rest == [] or rest[0].offset == offset


def test_the_log_of_a_job_that_is_gone_is_refused(runtime: DockerRuntime) -> None:
    with pytest.raises(Rejected) as refused:
        list(runtime.logs(os.urandom(32)))
    assert refused.value.code == "container-not-found"


def test_usage_counts_while_the_job_runs(runtime: DockerRuntime, spec: Spec) -> None:
    job = spec("head -c 8000000 /dev/zero >/tmp/x; echo ready; sleep 60")
    runtime.create(job)
    assert runtime.usage(job.lease) is None
    runtime.start(job.lease)
    next(runtime.logs(job.lease, follow=True))
    sample = runtime.usage(job.lease)
    assert sample is not None
    assert sample.cpu_ns > 1_000_000
    assert sample.memory_peak_bytes >= sample.memory_bytes > 8_000_000


def test_usage_comes_from_the_engine_where_the_kernel_is_out_of_reach(
    runtime: DockerRuntime, engine: Engine, spec: Spec
) -> None:
    job = spec("head -c 8000000 /dev/zero >/tmp/x; echo ready; sleep 60")
    runtime.create(job)
    runtime.start(job.lease)
    next(runtime.logs(job.lease, follow=True))
    distant = DockerRuntime(engine, agent="distant", counters=lambda _: None)
    sample = distant.usage(job.lease)
    assert sample is not None
    assert sample.cpu_ns > 1_000_000
    assert sample.memory_bytes > 1_000_000


def test_a_volume_that_an_image_declares_becomes_memory_of_fixed_size(
    runtime: DockerRuntime, engine: Engine, run_job: RunJob
) -> None:
    with engine.api("image") as api:
        holder = api.create_container(image="bingwang/busybox:1", command="true")["Id"]
        committed = api.commit(holder, changes=["VOLUME /data"])["Id"]
        api.remove_container(holder)
    try:
        _, log = run_job("grep /data /proc/self/mountinfo; touch /data/x && echo fine", image=committed)
    finally:
        for state in runtime.list_owned():
            runtime.remove(state.lease)
        with engine.api("image") as api:
            api.remove_image(committed)
    assert "- tmpfs tmpfs" in log
    assert "fine" in log


def _image_archive(layer_name: str) -> tuple[bytes, str]:
    """A `docker save` archive of one tiny image that claims a name of the owner's; and its digest."""
    import hashlib
    import json

    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tree:
        member = tarfile.TarInfo(layer_name)
        member.size = 2
        tree.addfile(member, io.BytesIO(b"hi"))
    diff = "sha256:" + hashlib.sha256(layer.getvalue()).hexdigest()
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["/nothing"]},
            "rootfs": {"type": "layers", "diff_ids": [diff]},
        }
    ).encode()
    digest = hashlib.sha256(config).hexdigest()
    manifest = [{"Config": f"{digest}.json", "RepoTags": ["bingwang/busybox:1"], "Layers": ["l.tar"]}]
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as archive:
        for name, data in (
            ("manifest.json", json.dumps(manifest).encode()),
            (f"{digest}.json", config),
            ("l.tar", layer.getvalue()),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return whole.getvalue(), f"sha256:{digest}"


def test_a_loaded_image_takes_no_name_of_the_owners(
    runtime: DockerRuntime, engine: Engine, busybox: str, tmp_path: Path
) -> None:
    data, digest = _image_archive(f"file-{os.urandom(4).hex()}")
    path = tmp_path / "image.tar"
    path.write_bytes(data)
    runtime.load_image(path, digest)
    try:
        assert runtime.has_image(digest)
        assert runtime.image_size(digest) == 2
        with engine.api("image") as api:
            named = api.images("bingwang/busybox")
        assert [image["Id"] for image in named] == [busybox]
    finally:
        runtime.remove_image(digest)
    assert not runtime.has_image(digest)
    runtime.remove_image(digest)


def test_an_archive_of_another_image_is_refused(runtime: DockerRuntime, tmp_path: Path) -> None:
    data, digest = _image_archive("file")
    path = tmp_path / "image.tar"
    path.write_bytes(data)
    with pytest.raises(Rejected) as refused:
        runtime.load_image(path, "sha256:" + "1" * 64)
    assert refused.value.code == "image-digest"
    assert not runtime.has_image(digest)


def test_an_engine_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    runtime = DockerRuntime(Engine(f"unix://{tmp_path}/none.sock"), agent="a")
    with pytest.raises(Unavailable) as unavailable:
        runtime.info()
    assert unavailable.value.code == "engine-unreachable"


def test_an_engine_that_comes_back_is_used_again(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "e.sock"
    returning = Engine(f"unix://{path}")
    runtime = DockerRuntime(returning, agent="a")
    with pytest.raises(Unavailable):
        runtime.list_owned()
    path.symlink_to(engine.url.removeprefix("unix://"))
    assert runtime.list_owned() == ()
    path.unlink()
    returning.close()
    with pytest.raises(Unavailable):
        runtime.list_owned()
    path.symlink_to(engine.url.removeprefix("unix://"))
    assert runtime.list_owned() == ()
    returning.close()


def test_the_engine_says_what_it_is(runtime: DockerRuntime) -> None:
    info = runtime.info()
    assert info.cgroup_version in (1, 2)
    assert "seccomp" in info.features


def _settings(engine: Engine, job: ContainerSpec) -> tuple[int, int, int]:
    with engine.api("container") as api:
        host = api.inspect_container(container_name(job.lease))["HostConfig"]
    return host["NanoCpus"], host["Memory"], host["MemorySwap"]


def test_a_running_job_gets_other_limits_and_does_not_notice(
    runtime: DockerRuntime, engine: Engine, spec: Spec
) -> None:
    job = spec("sleep 60")
    runtime.create(job)
    started = runtime.start(job.lease)
    runtime.resize(job.lease, cpus=1_500, memory_mib=64)
    assert _settings(engine, job) == (1_500_000_000, 64 << 20, 64 << 20)
    again = runtime.inspect(job.lease)
    assert again is not None
    assert (again.phase, again.started_at) == (Phase.RUNNING, started.started_at)
    runtime.resize(job.lease, cpus=250, memory_mib=32)
    assert _settings(engine, job) == (250_000_000, 32 << 20, 32 << 20)


def test_memory_that_is_in_use_is_not_taken_away(runtime: DockerRuntime, spec: Spec) -> None:
    fill = "head -c 40000000 /dev/zero > /dev/shm/a; echo full; sleep 60"
    job = spec(fill, memory_mib=64)
    runtime.create(job)
    runtime.start(job.lease)
    for chunk in runtime.logs(job.lease, follow=True):
        if b"full" in chunk.data:
            break
    with pytest.raises((Rejected, Unavailable)):
        runtime.resize(job.lease, cpus=500, memory_mib=8)
    assert runtime.inspect(job.lease) is not None


def test_a_container_that_is_gone_is_not_resized(runtime: DockerRuntime) -> None:
    runtime.resize(os.urandom(32), cpus=500, memory_mib=32)
