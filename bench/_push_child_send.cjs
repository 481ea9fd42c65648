// How fast Node's own way hands connections to a child: child.send(message, handle). For Node and for Deno alike.
const { spawn } = require("node:child_process");
const net = require("node:net");

if (process.argv.includes("child")) {
  process.on("message", (_, socket) => {
    if (socket) socket.destroy();
    process.send("taken");
  });
  process.send("ready");
} else {
  const [count, atOnce] = process.argv.slice(-2).map(Number);
  const args = process.versions.deno ? ["run", "-A", __filename, "child"] : [__filename, "child"];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const sockets = [];
  const clients = [];
  const server = net.createServer(
    { pauseOnConnect: true },
    (socket) => sockets.push(socket) === count && go(),
  );
  let ready = false;
  let began = 0;
  let taken = 0;
  let next = 0;
  const send = () => next < count && child.send("take", sockets[next++]);
  const go = () => {
    if (!ready || sockets.length < count) return;
    began = performance.now();
    for (let n = 0; n < atOnce; n++) send();
  };
  child.on("message", (what) => {
    if (what === "ready") {
      ready = true;
      return go();
    }
    send();
    if (++taken < count) return;
    console.log(JSON.stringify({ seconds: (performance.now() - began) / 1000 }));
    child.kill();
    process.exit();
  });
  server.listen(0, "127.0.0.1", () => {
    const { port } = server.address();
    const open = () => {
      if (clients.length === count) return;
      const client = net.connect(port, "127.0.0.1", open);
      client.on("error", () => {});
      clients.push(client);
    };
    open();
  });
}
