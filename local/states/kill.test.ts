import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { executionArn } from "./names.ts";
import { Store } from "./store.ts";

const CHILD = fileURLToPath(new URL("kill-child.ts", import.meta.url));

test("an execution whose process is killed again and again ends right, each state left once", async () => {
  const directory = mkdtempSync(join(tmpdir(), "states-kill-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const file = join(directory, "states.db");
  for (const invocations of [1, 7, 10]) expect(await runChild(file, invocations)).toBe("SIGKILL");
  expect(await runChild(file, Number.POSITIVE_INFINITY)).toBe(0);
  const store = new Store(file);
  onTestFinished(() => store.close());
  const arn = executionArn("machine", "run");
  expect(store.execution(arn)).toMatchObject({ status: "SUCCEEDED", output: String(20 * 200 + 210) });
  const events = store.history(arn, 0, 100_000, false);
  expect(events.map(({ id }) => id)).toEqual(events.map((_, index) => index + 1));
  expect(events.filter(({ type }) => type === "TaskStateExited")).toHaveLength(40);
});

/** Kills the child after `invocations` returns of its functions, and resolves with how the child ended. */
async function runChild(file: string, invocations: number): Promise<string | number> {
  const child = spawn(process.execPath, [CHILD, file], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "exit");
  let seen = 0;
  for await (const _ of createInterface(child.stdout)) if (++seen === invocations) child.kill("SIGKILL");
  const [code, signal] = (await ended) as [number | null, string | null];
  return signal ?? code ?? "";
}
