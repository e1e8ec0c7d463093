import asyncio

from node.relay.nudges import Nudges


def test_a_nudge_reaches_the_subscribers_of_its_topic_alone() -> None:
    async def scene() -> tuple[str, bool]:
        nudges = Nudges()
        nudges.attach(asyncio.get_running_loop())
        with nudges.subscription("a") as mine, nudges.subscription("b") as other:
            await asyncio.to_thread(nudges.publish, "a", "news")
            return await asyncio.wait_for(mine.get(), 5), other.empty()

    assert asyncio.run(scene()) == ("news", True)


def test_a_slow_subscriber_misses_nudges_and_holds_up_nobody() -> None:
    async def scene() -> int:
        nudges = Nudges()
        nudges.attach(asyncio.get_running_loop())
        with nudges.subscription("a") as queue:
            for number in range(200):
                nudges.publish("a", str(number))
            await asyncio.sleep(0)
            return queue.qsize()

    assert 0 < asyncio.run(scene()) < 200


def test_without_a_loop_or_a_subscriber_a_nudge_is_lost_quietly() -> None:
    Nudges().publish("a", "news")

    async def scene() -> None:
        nudges = Nudges()
        nudges.attach(asyncio.get_running_loop())
        with nudges.subscription("a"):
            pass
        nudges.publish("a", "late")
        await asyncio.sleep(0)

    asyncio.run(scene())
