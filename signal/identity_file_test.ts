import { assertEquals, assertRejects } from "@std/assert";
import { HoldfastError } from "../internal/errors.ts";
import { runCode } from "../tests/_code.ts";
import { makeIdentity } from "./identity.ts";
import { loadIdentity, saveIdentity } from "./identity_file.ts";

const unix = { ignore: Deno.build.os === "windows" };

async function folder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await Deno.makeTempDir({ prefix: "holdfast-identity-" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

Deno.test("an identity is written for its owner alone, and read again", async () => {
  await using at = await folder();
  const identity = makeIdentity({ comment: "anna" });
  await saveIdentity(`${at.path}/me`, identity);
  if (!unix.ignore) assertEquals(((await Deno.stat(`${at.path}/me`)).mode ?? 0) & 0o777, 0o600);
  const read = await loadIdentity(`${at.path}/me`);
  assertEquals([read.id, read.comment, read.seed], [identity.id, "anna", identity.seed]);
});

Deno.test("an identity that is there is never overwritten", async () => {
  await using at = await folder();
  const [mine, other] = [makeIdentity(), makeIdentity()];
  await saveIdentity(`${at.path}/me`, mine);
  const error = await assertRejects(() => saveIdentity(`${at.path}/me`, other), HoldfastError);
  assertEquals(error.code, "identity-file");
  assertEquals(
    error.message,
    `Cannot write the identity file "${at.path}/me": it is there already and would be lost`,
  );
  assertEquals((await loadIdentity(`${at.path}/me`)).id, mine.id);
});

Deno.test({
  name: "an identity that others can read is refused, with the command that helps",
  ...unix,
  async fn() {
    await using at = await folder();
    await saveIdentity(`${at.path}/me`, makeIdentity());
    await Deno.chmod(`${at.path}/me`, 0o640);
    const error = await assertRejects(() => loadIdentity(`${at.path}/me`), HoldfastError);
    assertEquals(error.message.includes("others can read or change it (its mode is 640)"), true);
    assertEquals(error.hint, `Run: chmod 600 ${at.path}/me`);
  },
});

Deno.test("what is no identity is refused, and the message shows nothing of it", async () => {
  await using at = await folder();
  await assertRejects(() => loadIdentity(`${at.path}/me`), HoldfastError, "there is no such file");
  await Deno.writeTextFile(`${at.path}/me`, "hunter2\n", { mode: 0o600 });
  const error = await assertRejects(() => loadIdentity(`${at.path}/me`), HoldfastError);
  const path = JSON.stringify(`${at.path}/me`);
  assertEquals(
    error.message,
    `Cannot read the identity file ${path}: it does not begin with "holdfast-identity"`,
  );
  assertEquals(Deno.inspect(error).includes("hunter2"), false);
});

Deno.test("without the permission it says which flag is missing", async () => {
  const code = `
    import { loadIdentity, saveIdentity } from "#/signal/identity_file.ts";
    import { makeIdentity } from "#/signal/identity.ts";
    for (const attempt of [() => loadIdentity("k"), () => saveIdentity("k", makeIdentity())]) {
      await attempt().catch((error) => console.log(error.name, error.flags.join()));
    }`;
  const { stdout } = await runCode(code, { flags: ["--no-prompt"] });
  assertEquals(stdout, "PermissionError --allow-read=k\nPermissionError --allow-write=k\n");
});
