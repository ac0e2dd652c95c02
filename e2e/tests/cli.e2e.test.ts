/**
 * The command line's contract with programs that call it: one JSON document, exit codes, and a control plane
 * that starts, stops and continues.
 */
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import * as z from "zod";
import { type RecordedRun, recordedRun } from "#cli/testing/recorded-run.ts";
import { Daemon } from "../site/daemon.ts";
import { ControlPlane } from "../testing/control-plane.ts";
import { Device } from "../testing/device.ts";

const root = join(import.meta.dirname, "../..");
let plane: ControlPlane;
let scratch: string;
let source: string;
let target: string;
const devices: Device[] = [];

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "causeway-cli-e2e-"));
  plane = await ControlPlane.start();
  for (const role of ["source", "target"] as const) {
    const identity = await plane.enrol(role, role);
    const device = await Device.connect(identity);
    devices.push(device);
    await device.introduce();
    if (role === "source") source = identity.enrolment.agentId;
    else target = identity.enrolment.agentId;
  }
  await plane.heard(source, target);
});
afterAll(async () => {
  for (const device of devices) await device[Symbol.asyncDispose]();
  await plane.close();
  await rm(scratch, { recursive: true });
});

/** As the operator of the control plane in this process. */
const cli = (...words: string[]): Promise<RecordedRun> =>
  recordedRun(words, { CAUSEWAY_URL: plane.url, CAUSEWAY_TOKEN: plane.token });

/** The one JSON document of a command that must succeed. */
async function json(...words: string[]): Promise<unknown> {
  const { code, stdout, stderr } = await cli(...words, "--json");
  expect({ code, stderr }, words.join(" ")).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout);
}

const Resource = z.looseObject({ id: z.string().min(1) });
const List = z.strictObject({ items: z.array(Resource), cursor: z.string().nullable() });

test("with --json every command prints one document: lists with items and cursor, resources with their id", async () => {
  const token = await json("enrol-token", "--role", "source", "--lifetime", "60");
  expect(token).toMatchObject({
    id: expect.stringMatching(/^tok_/),
    token: expect.any(String),
    role: "source",
  });
  expect(List.parse(await json("sources")).items).toMatchObject([{ id: source, presence: "connected" }]);
  expect(List.parse(await json("targets")).items).toMatchObject([{ id: target }]);
  expect(List.parse(await json("points", source)).items).toEqual([]);
  expect(List.parse(await json("conversions")).items).toEqual([]);

  const started = Resource.parse(
    await json("convert", source, "--type", "hot", "--target", target, "--format", "raw"),
  );
  expect(started).toMatchObject({ state: "running", format: "raw" });
  expect(await json("conversions", started.id)).toMatchObject({ id: started.id });
  expect(List.parse(await json("conversions")).items).toMatchObject([{ id: started.id }]);
  expect(await json("cancel", started.id)).toMatchObject({ id: started.id });
  await plane.ended(started.id);

  const page = List.parse(await json("audit", "--limit", "2"));
  expect(page.items).toHaveLength(2);
  const next = List.parse(await json("audit", "--limit", "200", "--cursor", page.cursor ?? ""));
  expect(next.cursor).toBeNull();
  expect(next.items.map(({ id }) => id)).not.toContain(page.items[0]?.id);
});

test("without --json every command prints text for people", async () => {
  const { id } = z.object({ id: z.string() }).parse((await plane.api.listConversions({})).items[0]);
  for (const words of [
    ["sources"],
    ["targets"],
    ["points", source],
    ["conversions"],
    ["conversions", id],
    ["audit"],
  ]) {
    const { code, stdout } = await cli(...words);
    expect(code).toBe(0);
    expect(stdout).not.toMatch(/^[[{]/);
    expect(stdout.endsWith("\n")).toBe(true);
  }
  const { stdout } = await cli("enrol-token", "--role", "target");
  expect(stdout).toMatch(/^enrol_[\w-]{43}\n$/);
});

test("an unknown id gives exit code 3, and no standard output", async () => {
  for (const words of [
    ["conversions", "cnv_none"],
    ["cancel", "cnv_none"],
    ["points", "agt_none"],
    ["convert", "agt_none", "--type", "hot", "--target", target],
    ["convert", source, "--type", "hot", "--target", "agt_none"],
    ["convert", target, "--type", "hot", "--target", source],
    ["restore", "rp_none", "--disk", "sda", "--to", join(scratch, "image")],
    ["repo", "check", "agt_none"],
    ["repo", "check", target],
    ["repo", "check", source],
    ["revoke", "agt_none"],
  ]) {
    const { code, stdout, stderr } = await cli(...words, "--json");
    expect(code, `${words.join(" ")}: ${stderr}`).toBe(3);
    expect(JSON.parse(stdout)).toMatchObject({ error: { message: expect.stringContaining("there is no") } });
    expect(stderr).toContain("there is no");
  }
});

test("a request that the API calls malformed gives exit code 2", async () => {
  for (const words of [
    ["audit", "--limit", "0"],
    ["audit", "--limit", "201"],
    ["audit", "--cursor", "nonsense"],
    ["enrol-token", "--role", "source", "--lifetime", "0"],
    ["convert", source, "--type", "hot", "--target", target, "--bandwidth-limit", "0"],
    ["convert", source, "--type", "hot", "--target", target, "--disk", "../sda"],
    ["convert", source, "--type", "hot", "--target", target, "--boot-expect", ""],
  ]) {
    const { code, stdout } = await cli(...words);
    expect({ code, stdout }, words.join(" ")).toEqual({ code: 2, stdout: "" });
  }
});

test("a refusal because of state, policy or a wrong token gives exit code 4, with the remedy", async () => {
  const { id } = await plane.api.startConversion({
    body: { type: "hot", sourceId: source, targetId: target },
  });
  const held = await cli("convert", source, "--type", "hot", "--target", target);
  expect(held).toMatchObject({
    code: 4,
    stdout: "",
    stderr: expect.stringContaining(`causeway cancel ${id}`),
  });
  await plane.api.cancelConversion({ parameters: { id } });
  await plane.ended(id);

  const missing = await cli(
    "convert",
    source,
    "--type",
    "hot",
    "--target",
    target,
    "--disk",
    "none",
    "--wait",
    "--json",
  );
  expect(missing.code).toBe(4);
  expect(JSON.parse(missing.stdout)).toMatchObject({
    state: "failed",
    failure: { name: "PreflightFailedError" },
  });
  expect((await cli("cancel", Resource.parse(JSON.parse(missing.stdout)).id)).code).toBe(4);

  const stranger = await recordedRun(["sources", "--url", plane.url, "--token", "nonsense"]);
  expect(stranger).toMatchObject({ code: 4, stdout: "", stderr: expect.stringContaining("token") });
  const words = [
    "agent",
    "--role",
    "source",
    "--url",
    plane.url,
    "--enrol",
    "guessed",
    "--data",
    join(scratch, "agent"),
  ];
  const refused = await recordedRun(words);
  expect(refused).toMatchObject({
    code: 4,
    stdout: "",
    stderr: expect.stringContaining("causeway enrol-token"),
  });
});

test("revoking prints the revoked agent, and may be repeated", async () => {
  const { enrolment } = await plane.enrol("source", "leaving");
  const first = await json("revoke", enrolment.agentId);
  expect(first).toMatchObject({ id: enrolment.agentId, role: "source", revokedAt: expect.any(String) });
  expect(await json("revoke", enrolment.agentId)).toEqual(first);
});

// --- Processes ---------------------------------------------------------------------------------------------------

interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs a program of the installation to its end. */
function program(command: string, args: string[], environment: Record<string, string> = {}): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, env: { ...process.env, ...environment } });
    const ended = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const) {
      child[name].setEncoding("utf8").on("data", (text: string) => {
        ended[name] += text;
      });
    }
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, ...ended }));
  });
}

const up = (...words: string[]) => ["up", "--data", join(scratch, "cloud"), "--json", ...words];
const Ready = z.strictObject({ url: z.url(), token: z.string(), tokens: z.record(z.string(), z.string()) });

test("up prints its address in one line, continues at the same address after kill -9, and stops cleanly", async () => {
  const first = new Daemon(up(), join(scratch, "first.log"));
  const { url, token } = Ready.parse(JSON.parse(await first.firstLine()));
  const environment = { CAUSEWAY_URL: url, CAUSEWAY_TOKEN: token };
  const created = await recordedRun(["enrol-token", "--role", "source", "--json"], environment);
  const { id } = Resource.parse(JSON.parse(created.stdout));

  const npm = await program("npm", ["run", "causeway", "--", "audit", "--json"], environment);
  expect(npm.code, npm.stderr).toBe(0);
  expect(List.parse(JSON.parse(npm.stdout)).items).toMatchObject([{ subject: id }]);

  const main = join(root, "cli/main.ts");
  const second = await program(process.execPath, [main, ...up()]);
  expect(second).toMatchObject({
    code: 4,
    stdout: expect.stringContaining('"error"'),
    stderr: expect.stringContaining("is in use by causeway up"),
  });
  expect(second.stderr).not.toContain("defect");

  await first.stop("SIGKILL");
  const again = new Daemon(up("--user", "ada", "--user", "ben"), join(scratch, "again.log"));
  const ready = Ready.parse(JSON.parse(await again.firstLine()));
  expect(ready).toMatchObject({ url, token: ready.tokens.ada });
  expect(Object.keys(ready.tokens)).toEqual(["ada", "ben"]);
  const kept = await recordedRun(["audit", "--json"], environment);
  expect(List.parse(JSON.parse(kept.stdout)).items).toMatchObject([{ subject: id }]);
  expect(await again.stop("SIGTERM")).toBe(0);
});

test("up on a port that is in use says so and what to do", async () => {
  const squatter = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => squatter.once("listening", resolve));
  const { port } = squatter.address() as AddressInfo;
  const words = ["up", "--data", join(scratch, "elsewhere"), "--port", String(port), "--json"];
  const { code, stdout, stderr } = await program(process.execPath, [join(root, "cli/main.ts"), ...words]);
  squatter.close();
  expect(code).toBe(4);
  expect(JSON.parse(stdout)).toMatchObject({ error: { name: "RefusedError" } });
  expect(stderr).toContain(`port ${port} is used by another program`);
  expect(stderr).toContain("--port");
});
