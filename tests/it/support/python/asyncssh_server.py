"""An asyncssh server: PORT HOST_KEY AUTHORIZED_KEYS PASSWORD. It re-keys after each megabyte, and never
says whether it listens on port 9 (discard)."""

import asyncio
import sys

import asyncssh

port, host_key, authorized_keys, password = sys.argv[1:]


class Server(asyncssh.SSHServer):
    def password_auth_supported(self):
        return True

    def validate_password(self, username, given):
        return given == password

    def connection_requested(self, *_):
        return True

    async def server_requested(self, _, port):
        if port == 9:
            await asyncio.Event().wait()
        return True


async def serve():
    await asyncssh.create_server(
        Server,
        "127.0.0.1",
        int(port),
        server_host_keys=[host_key],
        authorized_client_keys=authorized_keys,
        rekey_bytes=1 << 20,
    )
    print("listening", flush=True)
    await asyncio.Event().wait()


asyncio.run(serve())
