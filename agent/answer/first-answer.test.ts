import { once } from "node:events";
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { MachineSilentError } from "#shared/errors.ts";
import type { AnswerCheck } from "#shared/protocol/answer-check.ts";
import { keptMachine } from "../hypervisor/testing/kept-machine.ts";
import { firstAnswer } from "./first-answer.ts";
import { loopbackReach } from "./testing/loopback-reach.ts";
import { PlainKeeper } from "./testing/plain-keeper.ts";

async function listening(server: Server, port = 0): Promise<number> {
  await once(server.listen(port, "127.0.0.1"), "listening");
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

/** A port that nothing listens on. */
async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listening(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function wait(keeper: PlainKeeper, check: AnswerCheck, scriptsFolder = "/nowhere") {
  const seen = { answers: [] as string[], notes: [] as string[] };
  const what = { keeper: keeper.asKeeper(), machine: keptMachine(), reach: loopbackReach({ scriptsFolder }) };
  const done = firstAnswer(what, check, {
    signal: AbortSignal.timeout(20_000),
    note: (text) => seen.notes.push(text),
    onAnswer: (text) => seen.answers.push(text),
  });
  return { ...seen, done };
}

const http = (port: number) =>
  ({ kind: "http", url: `http://127.0.0.1:${port}/health`, certificate: "verified" }) as const;

test("a machine is asked again until its URL answers as it should", async () => {
  let status = 503;
  const port = await freePort();
  const keeper = new PlainKeeper();
  const { done, notes, answers } = wait(keeper, http(port));
  await expect.poll(() => notes).toContain(`http://127.0.0.1:${port}/health: ECONNREFUSED`);
  await listening(createHttpServer((_, response) => response.writeHead(status).end()) as Server, port);
  await expect.poll(() => notes).toContain(`http://127.0.0.1:${port}/health: status 503`);
  status = 200;
  await done;
  expect(answers).toEqual([`http://127.0.0.1:${port}/health answers`]);
});

test("a machine has answered when all checks have succeeded, and its console is watched from its start", async () => {
  const [first, second] = [await freePort(), await freePort()];
  const keeper = new PlainKeeper();
  const { done, answers } = wait(keeper, {
    kind: "all",
    checks: [{ kind: "tcp", host: "127.0.0.1", port: first }, http(second), { kind: "console" }],
  });
  await expect.poll(() => keeper.isOn).toBe(true);
  await listening(createServer(), first);
  expect(answers).toEqual([]);
  keeper.output.write("web1 login: ");
  await expect.poll(() => answers).toHaveLength(2);
  await listening(createHttpServer((_, response) => response.end()) as Server, second);
  await done;
  expect(answers).toEqual([
    "the login prompt appeared",
    `127.0.0.1 accepts connections on port ${first}`,
    `http://127.0.0.1:${second}/health answers`,
  ]);
});

test("a machine that fails on its console fails, whichever other checks it has", async () => {
  const keeper = new PlainKeeper();
  const port = await freePort();
  const { done } = wait(keeper, { kind: "all", checks: [http(port), { kind: "console" }] });
  keeper.output.write("Kernel panic - not syncing: no init\n");
  await expect(done).rejects.toBeInstanceOf(MachineSilentError);
});

test("a machine is not started if one of its addresses is answered already, with whichever status", async () => {
  const notReady = createHttpServer((_, response) => response.writeHead(503).end());
  const port = await listening(notReady as Server);
  const keeper = new PlainKeeper();
  const checks = [{ kind: "tcp", host: "127.0.0.1", port: await freePort() } as const, http(port)];
  const { done } = wait(keeper, { kind: "all", checks });
  await expect(done).rejects.toThrow(`something already answers at 127.0.0.1:${port}`);
  expect(keeper.isOn).toBe(false);
});

const console = { kind: "console" as const };
const script = { kind: "script" as const, name: "web" };

test("a machine whose check script is missing is not started", async () => {
  const keeper = new PlainKeeper();
  const { done } = wait(keeper, { kind: "all", checks: [console, script] });
  await expect(done).rejects.toMatchObject({ name: "CheckScriptMissingError" });
  expect(keeper.isOn).toBe(false);
});

describe.skipIf(process.getuid?.() !== 0)("a check script", () => {
  function scripts(body: string): string {
    const folder = mkdtempSync(join(tmpdir(), "causeway-checks-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    writeFileSync(join(folder, "web"), `#!/bin/sh\ncd '${folder}'\n${body}\n`, { mode: 0o755 });
    return folder;
  }

  test("runs once the machine is up, and again until it succeeds", async () => {
    const folder = scripts("echo run >> runs; test -e healthy || { echo 'no answer yet'; exit 1; }");
    const keeper = new PlainKeeper();
    const { done, notes, answers } = wait(keeper, { kind: "all", checks: [script, console] }, folder);
    await expect.poll(() => keeper.isOn).toBe(true);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(existsSync(join(folder, "runs"))).toBe(false);
    keeper.output.write("web1 login: ");
    const failed = "the check script web: it ended with status 1: no answer yet";
    await expect.poll(() => notes).toContain(failed);
    appendFileSync(join(folder, "healthy"), "");
    await done;
    expect(answers).toEqual(["the login prompt appeared", "the check script web succeeded"]);
    expect(readFileSync(join(folder, "runs"), "utf8")).toBe("run\nrun\n");
  });
});
