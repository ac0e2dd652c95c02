import { execFile } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { commands } from "./commands.ts";
import { recordedRun } from "./testing/recorded-run.ts";
import { version } from "./version.ts";

let dir: string;
let closedPort: number;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "causeway-cli-"));
  await writeFile(join(dir, "taken"), "");
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  closedPort = (server.address() as AddressInfo).port;
  await new Promise((resolve) => server.close(resolve));
});
afterAll(() => rm(dir, { recursive: true }));

/** A complete and well-formed command line for each command that talks to the API. */
const complete: string[][] = [
  ["enrol-token", "--role", "source"],
  ["enrolment-requests"],
  ["approve", "BCDF-GHJK"],
  ["sources"],
  ["targets"],
  ["convert", "agt_1", "--type", "hot", "--target", "agt_2"],
  [
    "convert",
    "agt_1",
    "--type",
    "remote-cold",
    "--target",
    "agt_2",
    "--at",
    "2030-12-31T02:30",
    "--deadline",
    "45m",
  ],
  ["preflight", "agt_1", "--type", "remote-cold"],
  ["boot-images", "list"],
  ["receipt", "cnv_1"],
  ["conversions"],
  ["conversions", "cnv_1"],
  ["cancel", "cnv_1"],
  ["points", "agt_1"],
  ["protect", "agt_1", "--every", "15m", "--keep", "last=12,daily=14", "--blackout", "08:00-18:00@mon,tue"],
  ["protect", "agt_1", "--every", "15m", "--bandwidth-hours", "08:00-18:00@mon,tue=2500000"],
  ["protect", "agt_1", "--every", "1h", "--drill", "weekly", "--drill-target", "agt_2", "--drill-adapt"],
  ["plan", "plan_1", "edit", "--drill", "weekly", "--drill-target", "agt_2", "--drill-prove"],
  ["plans"],
  ["plan", "plan_1"],
  ["plan", "plan_1", "pause"],
  ["plan", "plan_1", "edit", "--every", "1h"],
  ["cutover", "show", "cut_1", "--wait"],
  ["restore", "rp_1", "--disk", "sda", "--to", join(tmpdir(), "causeway-no-such-image")],
  ["browse", "rp_1", "/etc", "--disk", "sda", "--boot-image", tmpdir()],
  ["repo", "check", "agt_1"],
  ["revoke", "agt_1"],
  ["audit"],
];

test.each(commands.map(({ name }) => name))(
  "%s has help with its options and examples, on standard output",
  async (name) => {
    for (const flag of ["--help", "-h"]) {
      const { code, stdout, stderr } = await recordedRun([...name.split(" "), flag]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(stdout).toContain(`causeway ${name}`);
      expect(stdout).toMatch(/Examples:\n {2}causeway /);
      expect(stdout).toContain("--json");
    }
  },
);

test("help names every option that its command takes", () => {
  for (const command of commands) {
    const told = command.help.map(([option]) => option.split(" ")[0]).sort();
    expect(told, command.name).toEqual(
      Object.keys(command.options)
        .map((name) => `--${name}`)
        .sort(),
    );
  }
});

test("the overview lists every command and the exit codes", async () => {
  const { code, stdout } = await recordedRun(["--help"]);
  expect(code).toBe(0);
  for (const { name } of commands) expect(stdout).toContain(`  ${name} `);
  expect(stdout).toContain("4 refused");
  const bare = await recordedRun([]);
  expect(bare).toMatchObject({ code: 2, stdout: "", stderr: stdout });
});

test.each([
  ["an unknown command", ["fly"]],
  ["half of a command of two words", ["repo"]],
  ["an unknown option", ["sources", "--colour"]],
  ["one argument too many", ["sources", "agt_1"]],
  ["no role", ["enrol-token"]],
  ["an unknown role", ["enrol-token", "--role", "cook"]],
  ["a lifetime that is not a number", ["enrol-token", "--role", "source", "--lifetime", "long"]],
  ["no source", ["convert", "--type", "hot", "--target", "agt_2"]],
  ["no type", ["convert", "agt_1", "--target", "agt_2"]],
  ["an unknown type", ["convert", "agt_1", "--type", "tepid", "--target", "agt_2"]],
  ["no target", ["convert", "agt_1", "--type", "hot"]],
  [
    "a rule that cannot be accepted",
    ["convert", "agt_1", "--type", "hot", "--target", "agt_2", "--accept", "memory"],
  ],
  ["an unknown format", ["convert", "agt_1", "--type", "hot", "--target", "agt_2", "--format", "vmdk"]],
  [
    "a bandwidth that is not a number",
    ["convert", "a", "--type", "hot", "--target", "b", "--bandwidth-limit", "1M"],
  ],
  ["a time of a proof without the proof", ["drill", "rp_1", "--target", "b", "--prove-seconds", "60"]],
  [
    "a time of a schedule's proofs without the proofs",
    [
      "protect",
      "a",
      "--every",
      "1h",
      "--drill",
      "weekly",
      "--drill-target",
      "b",
      "--drill-prove-seconds",
      "60",
    ],
  ],
  ["drills without a target host", ["protect", "a", "--every", "1h", "--drill", "weekly"]],
  ["bandwidth hours without a limit", ["protect", "a", "--every", "1h", "--bandwidth-hours", "08:00-18:00"]],
  ["a time that is not one", ["convert", "a", "--type", "remote-cold", "--target", "b", "--at", "tonight"]],
  [
    "a deadline without a unit",
    ["convert", "a", "--type", "remote-cold", "--target", "b", "--deadline", "30"],
  ],
  ["no type of preflight", ["preflight", "agt_1"]],
  ["no folder of a boot image", ["boot-images", "upload"]],
  ["no conversion", ["cancel"]],
  ["no source of points", ["points"]],
  ["no recovery point", ["restore"]],
  ["no disk", ["restore", "rp_1", "--to", "x"]],
  ["no file", ["restore", "rp_1", "--disk", "sda"]],
  ["no disk to browse", ["browse", "rp_1", "--boot-image", "x"]],
  ["no boot image to browse with", ["browse", "rp_1", "--disk", "sda"]],
  ["nothing to write", ["browse", "rp_1", "--disk", "sda", "--boot-image", "x", "--output", "y"]],
  ["no source to check", ["repo", "check"]],
  ["no agent", ["revoke"]],
  ["no code", ["approve"]],
  ["a code that is not one", ["approve", "HELLO"]],
  ["a limit that is not a number", ["audit", "--limit", "many"]],
  ["no folder", ["up"]],
  ["a port that is not a number", ["up", "--data", "x", "--port", "http"]],
  ["a port that is too high", ["up", "--data", "x", "--port", "70000"]],
  ["an agent without a folder", ["agent"]],
  ["an argument that is empty, such as an unset variable", ["points", ""]],
  ["an option that is empty", ["protect", "agt_1", "--every", "15m", "--standby", ""]],
  ["one of several values that is empty", ["plan", "plan_1", "edit", "--disk", "sda", "--disk", ""]],
  ["a number in another notation", ["protect", "agt_1", "--every", "15m", "--bandwidth-limit", "0x10"]],
  ["a time zone that does not exist", ["protect", "agt_1", "--every", "15m", "--time-zone", "Vienna"]],
  ["a day that does not exist", ["protect", "agt_1", "--every", "15m", "--start", "2030-02-31T02:30"]],
  ["a value and none", ["plan", "plan_1", "edit", "--standby", "agt_2", "--no-standby"]],
  ["an interval and a cron expression", ["plan", "plan_1", "edit", "--every", "1h", "--cron", "0 2 * * *"]],
  ["an option of deleting while forgetting", ["plan", "plan_1", "forget-standby", "--with-points"]],
  ["waiting for no drill", ["drills", "--wait"]],
])("%s is a usage error: exit code 2, and where to find help", async (_, words) => {
  const { code, stdout, stderr } = await recordedRun(words, {
    CAUSEWAY_URL: "http://127.0.0.1:1",
    CAUSEWAY_TOKEN: "t",
  });
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toContain("--help");
});

test.each([
  [["cutover"], "there are cutover create, cutover show,"],
  [["cutover", "begin", "cut_1"], "unknown command: cutover begin; there are cutover create,"],
  [["sourcez"], "did you mean sources?"],
  [["--help=all", "plans"], "the command comes first, then its options"],
])("%j is no command, and the answer says what there is", async (words, said) => {
  expect(await recordedRun(words)).toMatchObject({
    ...{ code: 2, stdout: "" },
    stderr: expect.stringContaining(said),
  });
});

test.each([
  [["drill", "rp_1", "--targets", "agt_1"], "unknown option: --targets\n"],
  [["drill", "rp_1", "--target"], "--target needs a value\n"],
  [["protect", "agt_1", "--every", "-5m"], "given as --every=-VALUE\n"],
  [["drill", "rp_1", "--wait=yes"], "--wait takes no value\n"],
])("%j is answered in the words of the command line", async (words, said) => {
  expect(await recordedRun(words)).toMatchObject({ code: 2, stderr: expect.stringContaining(said) });
});

test("help is found by any of the ways to ask for it", async () => {
  const { stdout: create } = await recordedRun(["cutover", "create", "--help"]);
  expect(await recordedRun(["help", "cutover", "create"])).toEqual({ code: 0, stdout: create, stderr: "" });
  const { code, stdout } = await recordedRun(["cutover", "--help"]);
  expect({ code, asked: await recordedRun(["help", "cutover"]) }).toMatchObject({
    code: 0,
    asked: { stdout },
  });
  for (const name of ["create", "show", "rollback"]) expect(stdout).toContain(`  cutover ${name} `);
  expect((await recordedRun(["machine", "--help"])).stdout).toContain("  machine adapt ");
  expect(await recordedRun(["help", "fly"])).toMatchObject({ code: 2, stdout: "" });
});

test("--version prints the version alone", async () => {
  expect(await recordedRun(["--version"])).toEqual({ code: 0, stdout: `${version}\n`, stderr: "" });
});

/** Answers every request with this problem. */
async function refused(problem: object, ...words: string[]) {
  const server = createServer((_, response) => {
    response.statusCode = (problem as { status: number }).status;
    response.end(JSON.stringify({ type: "urn:x", title: "t", hint: "h", ...problem }));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    return await recordedRun(words, { CAUSEWAY_URL: url, CAUSEWAY_TOKEN: "t" });
  } finally {
    server.close();
  }
}

test("a refusal has the name by which the documents know it", async () => {
  const problem = { status: 409, name: "CutoverEditedError", detail: "it has version 2, not 1" };
  const { code, stdout } = await refused(problem, "cutover", "go", "cut_1", "--json");
  expect({ code, ...JSON.parse(stdout) }).toMatchObject({ code: 4, error: { name: "CutoverEditedError" } });
});

test("what the control plane says of a field is said of the option", async () => {
  const fields = [
    { path: "intervalSeconds", message: "too often" },
    { path: "drills.bootTimeoutSeconds", message: "too short" },
    { path: "bandwidthHours.0.from", message: "no time" },
    { path: "sourceId", message: "no id" },
    { path: "surprise", message: "unknown" },
  ];
  const problem = { status: 400, name: "InvalidInputError", detail: "d", fields };
  const { code, stderr } = await refused(problem, "protect", "agt_1", "--every", "15m");
  expect({ code, stderr }).toEqual({
    code: 2,
    stderr:
      "--every: too often; --drill-timeout: too short; --bandwidth-hours: no time; SOURCE: no id; surprise: unknown\n  See `causeway protect --help`.\n",
  });
});

test("a reader that ends early, such as head, is no failure and no crash", async () => {
  const main = join(import.meta.dirname, "main.ts");
  const line = `set -o pipefail; '${process.execPath}' '${main}' --help | true`;
  const ended = await promisify(execFile)("bash", ["-c", line]);
  expect(ended).toEqual({ stdout: "", stderr: "" });
});

test.each(complete)("%s needs a control plane and an access token", async (...words) => {
  const nowhere = await recordedRun(words);
  expect(nowhere).toMatchObject({ code: 2, stdout: "", stderr: expect.stringContaining("CAUSEWAY_URL") });
  const withoutToken = await recordedRun(words, { CAUSEWAY_URL: "http://127.0.0.1:1" });
  expect(withoutToken).toMatchObject({ code: 2, stderr: expect.stringContaining("CAUSEWAY_TOKEN") });
  const noUrl = await recordedRun([...words, "--url", "somewhere", "--token", "t"]);
  expect(noUrl).toMatchObject({ code: 2, stderr: expect.stringContaining("somewhere") });
});

test.each(complete)("%s fails with 1 and names the address that does not answer", async (...words) => {
  const url = `http://127.0.0.1:${closedPort}`;
  const { code, stdout, stderr } = await recordedRun([...words, "--json"], {
    CAUSEWAY_URL: url,
    CAUSEWAY_TOKEN: "t",
  });
  expect(code).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({
    error: { name: "ApiUnreachableError", hint: expect.any(String) },
  });
  expect(stderr).toContain(url);
  expect(stderr).toContain("causeway up");
});

test("an agent that has not enrolled says what its first start needs", async () => {
  const data = join(dir, "agent");
  const bare = await recordedRun(["agent", "--data", data]);
  expect(bare).toMatchObject({ code: 2, stderr: expect.stringContaining("--role, --url and --enrol") });
  const first = ["agent", "--data", data, "--role", "source", "--enrol", "t"];
  const url = `http://127.0.0.1:${closedPort}`;
  expect(await recordedRun([...first, "--url", "somewhere"])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("somewhere"),
  });
  const wrongDisk = await recordedRun([...first, "--url", url, "--disk", "sda"]);
  expect(wrongDisk).toMatchObject({ code: 2, stderr: expect.stringContaining("NAME=PATH") });
});

test("a file that holds no boot image key is refused before an enrolment token is used", async () => {
  const first = ["agent", "--data", join(dir, "agent-2"), "--role", "source", "--enrol", "t"];
  const { privateKey } = generateKeyPairSync("ed25519");
  const path = join(dir, "key.pem");
  const refusal = async (content: string | Buffer) => {
    await writeFile(path, content);
    const url = `http://127.0.0.1:${closedPort}`;
    return recordedRun([...first, "--url", url, "--trust-boot-image-key", path]);
  };
  const secret = await refusal(privateKey.export({ type: "pkcs8", format: "pem" }));
  expect(secret).toMatchObject({ code: 2, stderr: expect.stringContaining("takes the public key") });
  expect(await refusal("key")).toMatchObject({ code: 2, stderr: expect.stringContaining("Ed25519") });
});

test("a restore never changes a file that exists", async () => {
  const to = join(dir, "taken");
  const { code, stderr } = await recordedRun(["restore", "rp_1", "--disk", "sda", "--to", to], {
    CAUSEWAY_URL: "http://127.0.0.1:1",
    CAUSEWAY_TOKEN: "t",
  });
  expect(code).toBe(4);
  expect(stderr).toContain(to);
});

test.each<[string, (folder: string) => string, RegExp]>([
  ["a folder to which every user may write", (open) => join(open, "image"), /every user .* may write/],
  ["one below it", (open) => join(open, "below", "image"), /every user .* may write/],
  ["a link to nowhere", () => join(dir, "dangling"), /exists already/],
  ["a folder that does not exist", () => join(dir, "none", "image"), /does not exist/],
])("a restore into %s is refused before the control plane is asked", async (_, place, message) => {
  const open = join(dir, "open");
  await mkdir(join(open, "below"), { recursive: true });
  await chmod(open, 0o777);
  await symlink(join(dir, "nowhere"), join(dir, "dangling")).catch(() => undefined);
  const { code, stderr } = await recordedRun(["restore", "rp_1", "--disk", "sda", "--to", place(open)], {
    CAUSEWAY_URL: "http://127.0.0.1:1",
    CAUSEWAY_TOKEN: "t",
  });
  expect(code).toBe(4);
  expect(stderr).toMatch(message);
});

test("an answer that does not come from this API is reported as such", async () => {
  const server = createServer((_, response) => response.end("<html>hello</html>")).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { code, stderr } = await recordedRun(["sources", "--url", url, "--token", "t"]);
  server.close();
  expect(code).toBe(1);
  expect(stderr).toContain("without JSON");
});
