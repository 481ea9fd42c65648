// Takes sockets from a parent that calls pushByIpc(), and echoes what they say. Node passes descriptors to its children only,
// so this one is started by who pushes: spawn("node", ["receive.cjs"], { stdio: [0, 1, 2, "ipc"] })

function echo(socket, prefix) {
  if (prefix) socket.write(Buffer.from(prefix, "base64"));
  socket.pipe(socket);
}

process.on("message", ({ type, id, kind, prefix }, handle) => {
  if (type !== "holdfast.socket" || !handle) return;
  // It is this process's when the other one has heard so.
  process.send({ type: "holdfast.taken", id }, (error) => {
    if (error) handle.destroy?.();
    else if (kind === "stream") echo(handle, prefix);
    else if (kind === "listener") handle.on("connection", (socket) => echo(socket));
  });
});

process.send("ready");
