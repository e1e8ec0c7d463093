"""From a job to what its bid must say: quantities and trait demands, derived, never typed twice.

Buyer, node and agent all call this: a bid whose words differ from its document is refused by each.
"""

from ledger.market.bid import Bid
from ledger.market.errors import Rejected
from ledger.market.job import Job
from ledger.market.resource import Quantities
from ledger.market.traits import (
    ANY_REGION,
    ANY_VENDOR,
    FEATURES,
    GRADES,
    REGIONS,
    TRUSTS,
    VENDORS,
    Traits,
    bit,
    bits,
    thermometer,
)


def wanted(job: Job) -> Quantities:
    """The lanes that the job reserves."""
    gpu, gpu_memory = 0, 0
    if job.accelerators is not None:
        gpu = job.accelerators.count * job.accelerators.share
        gpu_memory = job.accelerators.count * job.accelerators.memory
    return Quantities(cpu=job.cpu, memory=job.memory, disk=job.disk, gpu=gpu, gpu_memory=gpu_memory)


def demanded(job: Job, model_tag: int) -> Traits:
    """The traits that the job demands; `model_tag` is keccak's first 4 bytes of the model, 0 for any and
    where several will do, which the word cannot say."""
    features = bit(FEATURES, "feature", job.runtime)
    if job.grade:
        features |= thermometer("grade", GRADES, job.grade)
    if job.trust:
        features |= thermometer("trust", TRUSTS, job.trust)
    if job.network:
        features |= bit(FEATURES, "feature", "outbound-network")
    wanted_gpu = job.accelerators
    makers = wanted_gpu.makers if wanted_gpu else ()
    return Traits(
        vendors=bits(VENDORS, "vendor", makers) if makers else ANY_VENDOR,
        regions=bits(REGIONS, "region", job.regions) if job.regions else ANY_REGION,
        features=features,
        gpu_memory_mib=wanted_gpu.memory if wanted_gpu else 0,
        model=model_tag,
    )


def check_bid_says(job: Job, bid: Bid, model_tag: int) -> None:
    """`Rejected` where the bid's words are not those of its document."""
    differing = [
        name
        for name, said, meant in (
            ("want", bid.want, wanted(job)),
            ("traits", bid.traits, demanded(job, model_tag)),
            ("limit_rate", bid.limit_rate, job.max_rate),
            ("max_over_ask_bps", bid.max_over_ask_bps, job.max_over_ask),
            ("duration", bid.duration, job.max_seconds),
            ("members", bid.members, job.gang.members if job.gang else 1),
            ("flags", bid.flags, job.gang.flags if job.gang else 0),
        )
        if said != meant
    ]
    latest = job.times.latest_start(job.max_seconds)
    if latest is not None and bid.start_by > latest:
        differing.append("start_by")
    if differing:
        raise Rejected(
            "bid-differs-from-job",
            f"The bid's {', '.join(differing)} are not what its job document says.",
            "Sign the bid again from the document.",
        )
