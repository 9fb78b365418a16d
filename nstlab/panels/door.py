"""The door of a served studio: so many visitors at a time, kernels made ready ahead, and a line before the door."""

import asyncio
import html
import secrets
import time
from contextvars import ContextVar

from nstlab.panels import studio_words as words

VISITORS, SPARE, STARTS = 12, 1, 2  # visitors at a time, kernels made ready ahead, kernels that start at a time
PATIENCE = 20.0  # seconds after which somebody who asks no more has left the line
HEATING = 240.0  # seconds in which a kernel is made ready, at most
AGAIN = 4  # seconds after which the page in the line asks again
COOKIE = "nst-place"
TICKET: ContextVar[str] = ContextVar("ticket", default="")  # of the visitor whose request this is
KERNEL = ("--HistoryManager.enabled=False", "--IPKernelApp.exec_lines=from nstlab.panels import ready")
PAGE = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="{again}"><title>{title}</title><link rel="icon" href="data:;base64,=">
<style>:root {{ color-scheme: light dark }} body {{ font: 18px/1.5 system-ui, sans-serif; background: light-dark(#fff, #161616);
color: light-dark(#1a1a1a, #f2f2f2); display: grid; place-content: center; min-height: 80vh; margin: 0; padding: 24px;
text-align: center }} h1 {{ font-size: 24px }}</style></head><body><main><h1>{title}</h1><p role="status">{text}</p>
</main></body></html>"""


class WaitingRoom:
    """Who waits to be let in, in the order in which they came."""

    def __init__(self):
        self._seen: dict[str, float] = {}

    def ask(self, visitor: str, free: int, now: float | None = None) -> int:
        """0 for a visitor who may come in, as so many places are `free`; else the place in the line, from 1."""
        now = time.monotonic() if now is None else now
        self._seen[visitor] = now
        self._seen = {name: seen for name, seen in self._seen.items() if now - seen < PATIENCE}
        place = list(self._seen).index(visitor)
        if place < free:
            del self._seen[visitor]
            return 0
        return place + 1 - max(0, free)


def waiting_page(place: int) -> str:
    """The page for somebody in the line; it asks again by itself."""
    said = words.FULL_NEXT if place == 1 else words.FULL.format(place=place)
    return PAGE.format(again=AGAIN, title=html.escape(words.FULL_TITLE), text=html.escape(said))


class Visiting:
    """What `visitors` adds to a kernel manager, which says how many there may be: `most` at a time, `spare` kernels ahead."""

    def __init__(self, **options):
        super().__init__(**options)
        self.let_in: set[str] = set()  # tickets of those whose kernel is being started
        self._ready: list[str] = []
        self._given: set[str] = set()  # kernels of visitors, of which some may have gone
        self._heating, self._starts, self._tasks = 0, asyncio.Semaphore(STARTS), set()

    @property
    def _inside(self) -> int:
        self._given = {kernel for kernel in self._given if kernel in self}
        return len(self._given) + len(self.let_in)

    @property
    def free(self) -> int:
        """How many more visitors may come in."""
        return self.most - self._inside

    async def start_kernel(self, **options):
        """The id of a visitor's kernel, one made ready if there is one; raises HTTPError 503 where there are too many."""
        ticket = TICKET.get()
        if ticket not in self.let_in:
            if self.free <= 0:
                from tornado.web import HTTPError

                raise HTTPError(503, reason=words.FULL_REASON)
            self.let_in.add(ticket := secrets.token_hex(8))
        try:
            self._ready = [kernel for kernel in self._ready if kernel in self]  # without those that have died
            if self._ready:
                kernel = self._ready.pop(0)
            else:
                async with self._starts:
                    kernel = await super().start_kernel(**options, extra_arguments=list(KERNEL[:1]))
            self._given.add(kernel)
            return kernel
        finally:
            self.let_in.discard(ticket)
            self.make_ready()

    def make_ready(self) -> None:
        """Start as many kernels ahead as are wanted and may be."""
        ahead = len(self._ready) + self._heating
        for _ in range(min(self.spare, self.most - self._inside) - ahead):
            self._heating += 1
            self._keep(self._heat())

    def _keep(self, work) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _heat(self) -> None:
        kernel = ""
        try:
            async with self._starts:
                kernel = await super().start_kernel(kernel_name="python3", extra_arguments=list(KERNEL))
                await self._answers(kernel)
            self._ready.append(kernel)
        except RuntimeError:  # it died, or has not answered: visitors start their own
            self.end_visit(kernel)
        finally:
            self._heating -= 1

    async def _answers(self, kernel_id: str) -> None:
        """Return once a kernel is ready; raises RuntimeError."""
        client = self.get_kernel(kernel_id).client()
        client.start_channels()
        try:
            await client.wait_for_ready(timeout=HEATING)
        finally:
            client.stop_channels()

    async def cull_kernel_if_idle(self, kernel_id):
        """End a kernel without a visitor, but not one that is kept ready."""
        if kernel_id not in self._ready:
            await super().cull_kernel_if_idle(kernel_id)

    def end_visit(self, kernel_id: str) -> None:
        """End a visitor's kernel in a moment, when what it has said has arrived; called on the server's loop."""
        self._keep(self._end(kernel_id))

    async def _end(self, kernel_id: str) -> None:
        await asyncio.sleep(1)
        if kernel_id in self:
            await self.shutdown_kernel(kernel_id, now=True)


def visitors(base: type) -> type:
    """A kernel manager like `base` with at most `most` visitors at a time and `spare` kernels made ready ahead."""
    from traitlets import Int

    class Visitors(Visiting, base):
        most = Int(VISITORS, config=True, help="Visitors at a time.")
        spare = Int(SPARE, config=True, help="Kernels made ready ahead.")

    return Visitors


def door(handler: type, room: WaitingRoom) -> type:
    """Voila's `handler` of the page, which lets visitors in one by one."""

    class Door(handler):
        async def get(self, path=None):
            """The studio, or the page for those in the line."""
            if path:  # nothing but the studio is here
                self.set_status(404)
                self.finish()
                return
            visitor = self.get_cookie(COOKIE) or secrets.token_hex(12)
            place = room.ask(visitor, self.kernel_manager.free)
            self.set_cookie(COOKIE, visitor, httponly=True, samesite="Strict")
            self.set_header("Cache-Control", "no-store")
            self.xsrf_token  # sets the cookie by which the page may say that it is closed
            if place:
                self.finish(waiting_page(place))
                return
            ticket = secrets.token_hex(8)
            self.kernel_manager.let_in.add(ticket)
            TICKET.set(ticket)
            try:
                await super().get(path)
            finally:
                self.kernel_manager.let_in.discard(ticket)

    return Door
