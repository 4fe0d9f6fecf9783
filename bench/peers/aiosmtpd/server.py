"""aiosmtpd for bench/compare: PORT. Reads the message and drops it."""
import asyncio
import sys

from aiosmtpd.smtp import SMTP


class Drop:
    """Accepts everything."""

    async def handle_DATA(self, server, session, envelope):  # pylint: disable=invalid-name
        return "250 2.0.0 dropped"


async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(Drop(), data_size_limit=100 << 20, hostname="aiosmtpd.bench.example",
                     enable_SMTPUTF8=True),
        "127.0.0.1", int(sys.argv[1]), backlog=4096)
    await server.serve_forever()


asyncio.run(main())
