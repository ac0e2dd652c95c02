import { existsSync } from "node:fs";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { afterAll, expect, test } from "vitest";
import { type EndedScript, runScript } from "./run-script.ts";

const folder = await mkdtemp(join(tmpdir(), "causeway-script-"));
afterAll(() => rm(folder, { recursive: true }));

let count = 0;
async function run(body: string, limitMs = 20_000, signal?: AbortSignal): Promise<EndedScript> {
  const path = join(folder, `script-${++count}`);
  await writeFile(path, body.startsWith("#!") ? body : `#!/bin/sh\n${body}\n`);
  await chmod(path, 0o755);
  return runScript({
    path,
    limitMs,
    signal,
    onStart: () => {},
    environment: { PATH: "/usr/bin:/bin", CAUSEWAY_PHASE: "before" },
  });
}

/** Waits until no such process is there any more, zombies apart. */
async function untilGone(pidFile: string): Promise<boolean> {
  const pid = (await readFile(pidFile, "utf8")).trim();
  for (let turn = 0; turn < 100; turn++) {
    const state = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
    if (state === "" || /\) [ZX] /.test(state)) return true;
    await wait(50);
  }
  return false;
}

test("a script gets only its own environment, no input, and the root folder", async () => {
  const ended = await run("env | sort; pwd; cat; echo end of input");
  expect(ended).toMatchObject({ outcome: "succeeded" });
  const lines = ended.stdout.text().trim().split("\n");
  expect(lines.filter((line) => !/^(PWD|OLDPWD|SHLVL|_)=/.test(line))).toEqual([
    "CAUSEWAY_PHASE=before",
    "PATH=/usr/bin:/bin",
    "/",
    "end of input",
  ]);
});

test("a script that fails says how it ended, and its output is kept apart from its errors", async () => {
  const ended = await run("echo some output; echo a complaint >&2; exit 3");
  expect(ended).toMatchObject({ outcome: "failed", reason: "it ended with status 3" });
  expect([ended.stdout.text(), ended.stderr.text()]).toEqual(["some output\n", "a complaint\n"]);
  expect(await run("kill -9 $$")).toMatchObject({ outcome: "failed", reason: "SIGKILL ended it" });
});

test("a script that cannot be started has failed", async () => {
  expect((await run("#!/nowhere/sh\n")).reason).toMatch(/^it could not be started: .*ENOENT/);
  const binary = join(folder, "garbage");
  await writeFile(binary, Buffer.from([0x7f, 0x45, 0x4c, 0x46, 0, 0, 0, 0]), { mode: 0o755 });
  const ended = await runScript({ path: binary, limitMs: 20_000, environment: {}, onStart: () => {} });
  expect(ended.outcome).toBe("failed");
});

test("of a flood of output only the end is kept", async () => {
  const ended = await run("head -c 50000000 /dev/zero | tr '\\0' x; echo; echo the end");
  expect(ended.outcome).toBe("succeeded");
  expect(ended.stdout.text()).toMatch(/^…x+\nthe end\n$/);
  expect(ended.stdout.text()).toHaveLength(16 * 1024 + 1);
});

test("a script that runs too long is ended with everything in its group", async () => {
  const pidFile = join(folder, "child");
  const ended = await run(`sleep 600 & echo $! > ${pidFile}; echo begun; wait`, 500);
  expect(ended).toMatchObject({ outcome: "timed-out", reason: "it did not end within 0.5 seconds" });
  expect(ended.stdout.text()).toBe("begun\n");
  expect(await untilGone(pidFile)).toBe(true);
});

test("a script that ignores SIGTERM is killed, and so is what it started", async () => {
  const pidFile = join(folder, "deaf");
  const deaf = `trap '' TERM; (trap '' TERM; while :; do sleep 1; done) & echo $! > ${pidFile}`;
  const ended = await run(`${deaf}; while :; do sleep 1; done`, 500);
  expect(ended).toMatchObject({ outcome: "timed-out", reason: "it did not end within 0.5 seconds" });
  expect(await untilGone(pidFile)).toBe(true);
});

test("a child that ignores SIGTERM is killed although the script obeys", async () => {
  const pidFile = join(folder, "deaf-child");
  const child = `(trap '' TERM; while :; do sleep 1; done) & echo $! > ${pidFile}`;
  expect(await run(`${child}; wait`, 500)).toMatchObject({ outcome: "timed-out" });
  expect(await untilGone(pidFile)).toBe(true);
});

test("a program in the background that keeps the output open is neither waited for nor ended", async () => {
  const [pidFile, mark] = [join(folder, "daemon"), join(folder, "daemon-wrote")];
  const daemon = `(echo first; until [ -e ${mark}-go ]; do sleep 0.1; done; echo second && : > ${mark}) &`;
  const ended = await run(`${daemon} echo $! > ${pidFile}`);
  expect(ended.outcome).toBe("succeeded");
  await writeFile(`${mark}-go`, "");
  expect(await untilGone(pidFile)).toBe(true);
  expect(existsSync(mark)).toBe(true);
  expect(ended.stdout.text()).toBe("first\nsecond\n");
  ended.release();
});

test("a script ends when the agent is stopped", async () => {
  const stop = new AbortController();
  const mark = join(folder, "running");
  const running = run(`: > ${mark}; exec sleep 600`, 60_000, stop.signal);
  while (!existsSync(mark)) await wait(20);
  stop.abort();
  expect(await running).toMatchObject({ outcome: "timed-out", reason: "the agent was stopped" });
});
