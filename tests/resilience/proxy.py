"""A TCP proxy between the server and Postgres that fails as networks fail."""

import asyncio
import contextlib
import pathlib
import socket
import struct
import threading
from collections.abc import Iterator

Upstream = pathlib.Path | tuple[str, int]
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Link:
    """One connection: both of its halves, and whether packets on it are lost."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter, is_lost: bool) -> None:
        self.client, self.server, self.is_lost = client, server, is_lost
        self.ends_with_answer = False

    def reset(self) -> None:
        for writer in (self.client, self.server):
            with contextlib.suppress(OSError):
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            writer.transport.abort()


class Proxy:
    """Its methods may be called from any thread; faults last until `heal`."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._links: set[Link] = set()
        self._latency, self._is_silent = 0.0, False
        self._cut_after: bytes | None = None
        self._listener: asyncio.Server | None = None
        self.port = 0

    async def run(self, is_running: threading.Event) -> None:
        """Serve until `stop`."""
        self._loop, self._stopped, self._healed = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
        await self._listen()
        is_running.set()
        await self._stopped.wait()
        await self._close()
        self._healed.set()
        while self._links:
            await self._reset()
            await asyncio.sleep(0.01)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)

    def slow(self, seconds: float) -> None:
        """Whatever is sent arrives so much later."""
        self._latency = seconds

    def silence(self) -> None:
        """Packets are swallowed, on the connections that there are (for good) and on new ones."""
        self._healed.clear()
        self._is_silent = True
        for link in list(self._links):
            link.is_lost = True

    def reset(self) -> None:
        """All connections are reset; new ones are accepted."""
        self._call(self._reset())

    def down(self) -> None:
        """All connections are reset, and new ones refused."""
        self._call(self._close())
        self._call(self._reset())

    def cut_after(self, words: bytes) -> None:
        """The next connection on which Postgres is sent these words is reset in place of its answer to them."""
        self._cut_after = words

    def heal(self) -> None:
        """New connections work. Of those whose packets were lost, nobody hears any more; Postgres forgets them."""
        self._latency, self._is_silent, self._cut_after = 0.0, False, None
        self._call(self._listen())
        self._loop.call_soon_threadsafe(self._healed.set)

    def _call(self, coroutine: object) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout=30)  # type: ignore[arg-type]

    async def _listen(self) -> None:
        if self._listener is None:
            self._listener = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
            self.port = self._listener.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def _reset(self) -> None:
        for link in list(self._links):
            link.reset()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if isinstance(self._upstream, pathlib.Path):
                other_reader, other_writer = await asyncio.open_unix_connection(self._upstream)
            else:
                other_reader, other_writer = await asyncio.open_connection(*self._upstream)
        except OSError:  # what is behind is away
            writer.transport.abort()
            return
        link = Link(writer, other_writer, self._is_silent)
        self._links.add(link)
        try:
            await asyncio.gather(self._pump(reader, other_writer, link), self._pump(other_reader, writer, link))
        finally:
            self._links.discard(link)
            link.reset()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, link: Link) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if self._latency:
                    await asyncio.sleep(self._latency)
                if writer is link.client and link.ends_with_answer:
                    link.reset()
                elif not link.is_lost:
                    if self._cut_after and self._cut_after in data:
                        self._cut_after, link.ends_with_answer = None, True
                    writer.write(data)
                    await writer.drain()
        if link.is_lost:  # the end of a connection is a packet, too
            await self._healed.wait()
        writer.close()


@contextlib.contextmanager
def proxy(upstream: Upstream) -> Iterator[Proxy]:
    """Run a proxy on a free port of 127.0.0.1."""
    running, is_running = Proxy(upstream), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(running.run(is_running)))
    thread.start()
    try:
        assert is_running.wait(timeout=30)
        yield running
    finally:
        running.stop()
        thread.join(timeout=30)
