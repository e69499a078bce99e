"""A steady stream of errors: port, key, errors a second, seconds."""

import asyncio
import json
import sys
import time

from tests.bench.load import event


async def stream(port: int, key: str, rate: int, seconds: float) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    batch = max(1, rate // 40)
    body = json.dumps([event(number) for number in range(batch)]).encode()
    head = f"POST /api/error-events HTTP/1.1\r\nHost: b\r\nAuthorization: Bearer {key}\r\n"
    head += f"Content-Length: {len(body)}\r\n\r\n"
    began = time.perf_counter()
    sent = 0
    while (now := time.perf_counter() - began) < seconds:
        if sent > now * rate:
            await asyncio.sleep(sent / rate - now)
        writer.write(head.encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
        sent += batch
    writer.close()


if __name__ == "__main__":
    asyncio.run(stream(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
