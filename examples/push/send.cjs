// Accepts connections and hands each of them to a child that calls receiveByIpc(process), for example one in Deno:
//
//     node send.cjs 8080 deno run child.ts

const { spawn } = require("node:child_process");
const { createServer } = require("node:net");

const [port, command, ...args] = process.argv.slice(2);
const child = spawn(command, args, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
const waiting = new Map();
let last = 0;

// Until the child has taken a socket, it is this process's as well, and not lost with it.
child.on("message", (message) => {
  const { type, id } = message;
  if (message === "ready") listen();
  if (type === "holdfast.taken" || type === "holdfast.refused") waiting.get(id)?.destroy();
  waiting.delete(id);
});
child.on("exit", (code) => process.exit(code ?? 1));

function listen() {
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) => {
    waiting.set(++last, socket);
    const message = { type: "holdfast.socket", id: last, kind: "stream", metadata: socket.remoteAddress };
    child.send(message, socket, { keepOpen: true });
  });
  server.listen(Number(port), "127.0.0.1", () => console.log("ready", server.address().port));
}
