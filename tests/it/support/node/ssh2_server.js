// A server of the package ssh2: PORT HOST_KEY AUTHORIZED_KEYS PASSWORD. It re-keys after each 16 megabytes.

"use strict";

const fs = require("fs");
const net = require("net");
const path = require("path");
const { Server, utils } = require(path.join(process.cwd(), "target/node/node_modules/ssh2"));

const [port, hostKey, authorizedKeys, password] = process.argv.slice(2);
const METHODS = ["publickey", "password"];
const REKEY = 16 << 20;
const allowed = fs
  .readFileSync(authorizedKeys, "utf8")
  .split("\n")
  .filter(Boolean)
  .map((line) => utils.parseKey(line));

function authenticate(context) {
  if (context.method === "password" && context.password === password) {
    return context.accept();
  }
  if (context.method === "publickey") {
    const known = allowed.find((key) => key.getPublicSSH().equals(context.key.data));
    const signed = () => known.verify(context.blob, context.signature, context.hashAlgo) === true;
    if (known && (!context.signature || signed())) {
      return context.accept();
    }
  }
  return context.reject(METHODS);
}

function relay(client, channel, socket) {
  let carried = 0;
  socket.on("data", (data) => {
    carried += data.length;
    if (carried > REKEY) {
      carried = 0;
      client.rekey();
    }
  });
  channel.pipe(socket);
  // A channel of a server closes where it is ended, and the other way may go on.
  socket.pipe(channel, { end: false });
  // Both would overtake what still waits for the client's window.
  const afterAll = (action) => () => channel.write(Buffer.alloc(0), action);
  socket.on("end", afterAll(() => channel.eof()));
  socket.on("close", afterAll(() => channel.close()));
  socket.on("error", () => channel.close());
  channel.on("error", () => socket.destroy());
  channel.on("close", () => socket.destroy());
}

function serve(client) {
  const listeners = new Map();
  client.on("authentication", authenticate);
  client.on("tcpip", (accept, reject, { destIP, destPort }) => {
    const socket = net.connect({ host: destIP, port: destPort, allowHalfOpen: true });
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.removeListener("error", reject);
      relay(client, accept(), socket);
    });
  });
  client.on("request", (accept, reject, name, { bindAddr, bindPort }) => {
    if (name === "cancel-tcpip-forward") {
      const listener = listeners.get(bindPort);
      return listener ? listener.close(() => accept && accept()) : reject && reject();
    }
    if (name !== "tcpip-forward") {
      return reject && reject();
    }
    const listener = net.createServer({ allowHalfOpen: true }, (socket) => {
      const { port: at } = listener.address();
      const { remoteAddress, remotePort } = socket;
      client.forwardOut(bindAddr, at, remoteAddress, remotePort, (error, channel) =>
        error ? socket.destroy() : relay(client, channel, socket),
      );
    });
    listener.once("error", () => reject && reject());
    listener.listen(bindPort, "127.0.0.1", () => {
      listeners.set(listener.address().port, listener);
      accept(listener.address().port);
    });
  });
  client.on("error", () => {});
  client.on("close", () => listeners.forEach((listener) => listener.close()));
}

new Server({ hostKeys: [fs.readFileSync(hostKey)] }, serve).listen(Number(port), "127.0.0.1", () =>
  console.log("listening"),
);
