/** The suite that every pipe passes, over the standard input and output of commands. */

import { connect } from "../pipes/connect.ts";
import { pipeContract } from "./_pipe_contract.ts";
import { requires } from "./_require.ts";

/** Joins its standard input and output to a Unix socket, with both directions ended each for itself. */
const JOIN = `
import os, socket, sys, threading
kind, path = sys.argv[1:]
sock = socket.socket(socket.AF_UNIX)
if kind == "listen":
    sock.bind(path + ".new")
    sock.listen()
    os.rename(path + ".new", path)
    sock, _ = sock.accept()
else:
    sock.connect(path)
    open(path + ".ready", "w").close()
def out():
    try:
        while data := sock.recv(65536):
            while data: data = data[os.write(1, data):]
    except OSError: os._exit(1)
    os.close(1)
thread = threading.Thread(target=out)
thread.start()
try:
    while data := os.read(0, 65536): sock.sendall(data)
    sock.shutdown(socket.SHUT_WR)
except OSError: os._exit(1)
thread.join()
`;

async function exists(path: string): Promise<void> {
  const folder = path.slice(0, path.lastIndexOf("/"));
  using changes = Deno.watchFs(folder);
  if ([...Deno.readDirSync(folder)].some(({ name }) => path.endsWith(`/${name}`))) return;
  for await (const { paths } of changes) if (paths.includes(path)) return;
}

if (!requires({ os: ["linux", "darwin"], tools: ["python3"] }).ignore) {
  pipeContract({
    name: "exec",
    unit: "bytes",
    reliable: true,
    halfClose: true,
    resets: false,
    async pair(options) {
      const folder = await Deno.realPath(await Deno.makeTempDir({ prefix: "holdfast-exec-" }));
      const path = `${folder}/socket`;
      const join = (kind: string): readonly string[] => ["python3", "-I", "-S", "-c", JOIN, kind, path];
      const b = await connect("exec:", { ...options, exec: join("listen") });
      await exists(path);
      const a = await connect("exec:", { ...options, exec: join("connect") });
      await exists(`${path}.ready`);
      return {
        a,
        b,
        async [Symbol.asyncDispose]() {
          await Promise.all([a.close(), b.close()]);
          await Deno.remove(folder, { recursive: true });
        },
      };
    },
  });
}
