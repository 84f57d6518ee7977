"""A paramiko server: PORT HOST_KEY AUTHORIZED_KEYS PASSWORD. It re-keys after each 16 megabytes."""

import socket
import sys
import threading

import paramiko

port, host_key, authorized_keys, password = sys.argv[1:]
paramiko.packet.Packetizer.REKEY_BYTES = 16 << 20
key = paramiko.Ed25519Key(filename=host_key)
with open(authorized_keys) as file:
    allowed = [line.split()[1] for line in file if line.strip()]


def pump(read, write, end):
    try:
        while data := read(1 << 15):
            write(data)
    except OSError:
        pass
    try:
        end()
    except OSError:
        pass


def relay(channel, stream):
    up = threading.Thread(
        target=pump,
        args=(channel.recv, stream.sendall, lambda: stream.shutdown(socket.SHUT_WR)),
        daemon=True,
    )
    up.start()
    pump(stream.recv, channel.sendall, channel.shutdown_write)
    up.join()
    channel.close()
    stream.close()


class Server(paramiko.ServerInterface):
    def __init__(self, transport):
        self.transport = transport
        self.streams = {}
        self.listeners = {}

    def get_allowed_auths(self, username):
        return "publickey,password"

    def check_auth_publickey(self, username, key):
        return paramiko.AUTH_SUCCESSFUL if key.get_base64() in allowed else paramiko.AUTH_FAILED

    def check_auth_password(self, username, given):
        return paramiko.AUTH_SUCCESSFUL if given == password else paramiko.AUTH_FAILED

    def check_channel_direct_tcpip_request(self, channel_id, origin, destination):
        try:
            self.streams[channel_id] = socket.create_connection(destination)
        except OSError:
            return paramiko.OPEN_FAILED_CONNECT_FAILED
        return paramiko.OPEN_SUCCEEDED

    def check_port_forward_request(self, address, port):
        try:
            listener = socket.create_server((address or "127.0.0.1", port))
        except OSError:
            return False
        port = listener.getsockname()[1]
        self.listeners[port] = listener
        threading.Thread(target=self.forward, args=(listener, address, port), daemon=True).start()
        return port

    def cancel_port_forward_request(self, address, port):
        if listener := self.listeners.pop(port, None):
            # This wakes the thread that accepts.
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def forward(self, listener, address, port):
        while True:
            try:
                stream, origin = listener.accept()
            except OSError:
                return
            channel = self.transport.open_forwarded_tcpip_channel(origin, (address, port))
            threading.Thread(target=relay, args=(channel, stream), daemon=True).start()


def serve(stream):
    transport = paramiko.Transport(stream)
    transport.add_server_key(key)
    server = Server(transport)
    try:
        transport.start_server(server=server)
    except (EOFError, paramiko.SSHException):
        return
    while transport.is_active():
        channel = transport.accept(1)
        if channel is not None:
            target = server.streams.pop(channel.get_id())
            threading.Thread(target=relay, args=(channel, target), daemon=True).start()
    for port in list(server.listeners):
        server.cancel_port_forward_request("", port)


listener = socket.create_server(("127.0.0.1", int(port)), backlog=128)
print("listening", flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
