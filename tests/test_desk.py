"""Turns among visitors, the line before the door, and how many kernels there are: no browser, no network, no painting."""

import asyncio
import threading
from types import SimpleNamespace

import pytest
from waiting import until

from nstlab.errors import SettingError
from nstlab.panels import capacity, desk, door, serve
from nstlab.panels.desk import Desk, Line, Place


@pytest.fixture
def ended():
    return []


@pytest.fixture
def open_desk(monkeypatch, ended):
    made = Desk({"paint": 1}, on_end=ended.append)
    monkeypatch.setenv(desk.PLACE, made.address)
    monkeypatch.setattr(desk, "BEAT", 0.02)
    yield made
    made.close()


def test_a_line_of_two_turns(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(desk.time, "monotonic", lambda: now[0])
    line = Line(2)
    for who in "abcde":
        line.join(who)
    assert [line.place(who).number for who in "abcde"] == [0, 0, 1, 2, 3]
    now[0] = 110.0
    assert line.place("c") == Place(1, 80.0)  # a and b have painted for 10 s of the usual 90
    assert line.place("e") == Place(3, 170.0)  # and then c
    line.leave("a")  # took 10 s
    assert line.place("c") == Place(0, 0.0) and line.place("d") == Place(1, 0.0)
    line.leave("d")  # waits no longer
    assert line.place("e").number == 1


def test_visitors_take_turns_and_are_told_their_place(open_desk):
    told, order = [], []

    def second():
        with desk.turn("paint") as turn:
            for place in turn:
                told.append(place.number)
            order.append("second")

    with desk.turn("paint") as first:
        assert list(first) == []
        other = threading.Thread(target=second)
        other.start()
        until(lambda: told, what="a place in the line")
        order.append("first")
    other.join(10)
    assert set(told) == {1} and order == ["first", "second"]


def test_who_goes_away_gives_the_turn_back(open_desk):
    dead = desk.Turn("paint")
    assert list(dead) == []
    waits = desk.Turn("paint")
    assert next(iter(waits)).number == 1
    dead._connection.close()  # as when its process dies
    assert list(waits) == []
    waits.end()
    until(lambda: not open_desk.lines["paint"]._began, what="an empty desk")


def test_without_a_desk_nobody_waits(open_desk, monkeypatch):
    open_desk.close()
    assert list(desk.Turn("paint")) == []  # the server has been ended
    monkeypatch.delenv(desk.PLACE)
    assert list(desk.Turn("paint")) == [] and not desk.served()


def test_nobody_without_the_key_gets_a_turn(open_desk, monkeypatch):
    port = open_desk.address.partition(":")[0]
    for wrong in (f"{port}:{'00' * 24}", f"{port}:no", "nonsense"):
        monkeypatch.setenv(desk.PLACE, wrong)
        assert desk._connect() is None
    monkeypatch.setenv(desk.PLACE, open_desk.address)
    assert list(desk.Turn("paint")) == []  # and the desk is still there


def test_the_desk_hears_that_a_visit_ended(open_desk, ended, monkeypatch):
    monkeypatch.setattr("sys.argv", ["launcher.py", "-f", "/tmp/run/kernel-0a1b-2c.json"])
    desk.end_session()
    until(lambda: ended == ["0a1b-2c"], what="the end of the visit")


def test_the_line_before_the_door():
    room = door.WaitingRoom()
    assert room.ask("a", free=1, now=0) == 0
    assert [room.ask(who, free=0, now=1) for who in "bcd"] == [1, 2, 3]
    assert room.ask("c", free=0, now=2) == 2  # asking again does not move anybody
    assert room.ask("d", free=1, now=3) == 2 and room.ask("b", free=1, now=4) == 0
    assert room.ask("c", free=0, now=10) == 1
    assert room.ask("e", free=0, now=11) == 3
    assert room.ask("e", free=0, now=29) == 2  # d asked last at 3, so d is no longer there; c did at 10
    assert room.ask("e", free=0, now=31) == 1


def test_the_page_of_the_line_is_honest_and_plain():
    assert "number 7 in line" in door.waiting_page(7) and "the next one" in door.waiting_page(1)
    assert "http-equiv" in door.waiting_page(2) and "://" not in door.waiting_page(2)


def kernels(most, spare, start=0.01):
    """A manager of pretended kernels, each of which takes `start` seconds."""
    from traitlets.config import Config, Configurable

    class Base(Configurable, dict):
        def __init__(self, **options):
            Configurable.__init__(self, **options)
            self.count = 0

        async def start_kernel(self, **options):
            await asyncio.sleep(start)
            self.count += 1
            self[name := f"kernel-{self.count}"] = options
            return name

        async def shutdown_kernel(self, kernel_id, now=False):
            del self[kernel_id]

        async def cull_kernel_if_idle(self, kernel_id):
            del self[kernel_id]

        def get_kernel(self, kernel_id):
            return SimpleNamespace(client=Client)

    class Client:
        def start_channels(self):
            pass

        stop_channels = start_channels

        async def wait_for_ready(self, timeout):
            await asyncio.sleep(0)

    return door.visitors(Base)(config=Config({"Visitors": {"most": most, "spare": spare}}))


def test_no_more_visitors_than_may_be():
    pytest.importorskip("tornado")

    async def come():
        manager = kernels(3, 0)
        found = await asyncio.gather(*(manager.start_kernel(path=str(n)) for n in range(5)), return_exceptions=True)
        assert [getattr(each, "status_code", 0) for each in found] == [0, 0, 0, 503, 503] and manager.free == 0
        manager.end_visit(found[0])  # somebody leaves
        await asyncio.sleep(1.2)
        assert manager.free == 1 and await manager.start_kernel() == "kernel-4"

    asyncio.run(come())


def test_kernels_are_made_ready_ahead():
    pytest.importorskip("tornado")

    async def come():
        manager = kernels(3, 2)
        manager.make_ready()
        await asyncio.sleep(0.1)
        assert sorted(manager) == ["kernel-1", "kernel-2"] and manager.free == 3
        assert "ready" in str(manager["kernel-1"]["extra_arguments"])
        await manager.cull_kernel_if_idle("kernel-1")  # it is kept for somebody
        assert await manager.start_kernel() == "kernel-1" and manager.free == 2
        await asyncio.sleep(0.1)
        assert len(manager) == 3  # one more is made ready, but no more than may be at a time
        del manager["kernel-2"]  # it died
        assert await manager.start_kernel() == "kernel-3"
        assert await manager.start_kernel() in ("kernel-4", "kernel-5") and manager.free == 0

    asyncio.run(come())


def test_a_ticket_is_a_place_until_the_kernel_has_started():
    pytest.importorskip("tornado")

    async def come():
        manager = kernels(1, 0)
        manager.let_in.add("mine")
        assert manager.free == 0
        door.TICKET.set("mine")
        assert await manager.start_kernel() == "kernel-1"
        assert manager.free == 0 and not manager.let_in

    asyncio.run(come())


def test_without_voila_it_says_so(monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "voila.app", None)
    monkeypatch.setenv("NSTLAB_HEADLESS", "1")
    assert serve.main(["20_studio.ipynb"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "pip install voila" in said


@pytest.mark.parametrize("wrong", [["--rooms", "0"], ["--rooms=many"], ["--idle", "-3"]])
def test_wrong_options_are_one_sentence(wrong, capsys):
    pytest.importorskip("voila")
    assert serve.main(["20_studio.ipynb", *wrong]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(SettingError):
        serve._own(wrong)


def test_what_voila_is_started_with(monkeypatch, capsys):
    voila = pytest.importorskip("voila.app")
    asked = {}
    monkeypatch.setattr(voila.Voila, "launch_instance", lambda arguments, config: asked.update(words=arguments, config=config))
    for name in ("NSTLAB_HEADLESS", "JUPYTER_PATH", "OMP_NUM_THREADS", desk.IDLE_PLACE):
        monkeypatch.setenv(name, "1")  # main says otherwise
    monkeypatch.setattr(capacity, "measured", lambda: capacity.Capacity(0.5e9, 1.5e9, 0.5, 60.0, 6.0e9))
    assert serve.main(["studio.ipynb", "--port=1", "--rooms", "30", "--idle", "77"]) == 0
    config = asked["config"]
    assert asked["words"] == ["studio.ipynb", "--port=1"] and desk.idle_limit() == 77
    assert config.Visitors.most == 8  # (6 - 1 - 1) / 0.5
    said = capsys.readouterr().out
    assert "holds 8 visitors" in said and "30 were asked for, so 8 are let in" in said and "about 8 min" in said
    assert config.MappingKernelManager.cull_idle_timeout == serve.LEFT > config.MappingKernelManager.cull_interval > 0
    manager = config.VoilaConfiguration.multi_kernel_manager_class
    assert voila.VoilaConfiguration(config=config).multi_kernel_manager_class is manager


def test_the_page_asks_no_other_server():
    for path in serve.SERVED.rglob("*"):
        assert path.is_dir() or "://" not in path.read_text(), path


def test_a_visit_in_which_nothing_happens_has_a_limit(monkeypatch):
    monkeypatch.setenv(desk.IDLE_PLACE, "no number")
    assert desk.idle_limit() == desk.IDLE
    monkeypatch.setenv(desk.IDLE_PLACE, "0")
    assert desk.idle_limit() == 2.0
