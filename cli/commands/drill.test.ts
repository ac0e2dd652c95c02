import { afterEach, beforeEach, expect, test } from "vitest";
import { FakeApi } from "../testing/fake-api.ts";
import { recordedRun } from "../testing/recorded-run.ts";

const at = "2030-01-01T00:00:00.000Z";
const begun = {
  ...{ id: "drl_1", pointId: "rp_1", sourceId: "agt_1", targetId: "agt_2", state: "running" },
  ...{ requestedBy: "ada", createdAt: at },
};
const adaptation = {
  changes: [{ path: "/etc/fstab", why: ["disks have other names"], diff: "-/dev/sda2 /\n+UUID=aa /" }],
  ...{ commands: [], notes: [], isApplied: true, stale: [], computeSeconds: 95, applySeconds: 40 },
};
const proof = { pointId: "rp_1", at, reason: "no boot image" };
const compared = { equal: 1, bytes: 5, moved: 0, different: 1, unopened: [], seconds: 5 };
const differences = [{ fileSystem: "aa", path: "/etc/hosts", what: "content" }];
let end: object;
let api: FakeApi;
let asked: unknown[];

beforeEach(async () => {
  asked = [];
  const result = { verdict: "booted", reason: "the login prompt appeared", seconds: 41 };
  end = { state: "completed", result, adaptation };
  api = await FakeApi.start(({ method, body }) => {
    if (method !== "POST") return { ...begun, ...end, endedAt: at };
    asked.push(body);
    return begun;
  });
});
afterEach(() => api.close());

const drill = (...words: string[]) =>
  recordedRun(["drill", "rp_1", "--target", "agt_2", ...words], api.environment);

test("a drill that adapts its clone shows each change with its reason", async () => {
  const { code, stdout } = await drill("--adapt", "--wait");
  expect(code).toBe(0);
  expect(asked).toEqual([{ targetId: "agt_2", bootTimeoutSeconds: 600, adapt: true }]);
  expect(stdout).toContain("booted after 41 s");
  expect(stdout).toMatch(/^ {4}--- \/etc\/fstab: disks have other names\n(.*\n)* +\+UUID=aa \/$/m);
});

test("a drill adapts nothing unless it is asked to", async () => {
  await drill();
  expect(asked).toEqual([{ targetId: "agt_2", bootTimeoutSeconds: 600 }]);
});

test("a drill whose files differ names the first of them, and is an error", async () => {
  const failure = { name: "CopyDiffersError", message: "1 file differs", hint: "Do not use it." };
  end = {
    state: "failed",
    proof: { ...proof, outcome: "different", compared: { ...compared, differences } },
    failure: { ...failure, retryable: false },
  };
  const { code, stdout, stderr } = await drill("--prove", "--wait");
  expect(code).toBe(1);
  expect(asked).toEqual([{ targetId: "agt_2", bootTimeoutSeconds: 600, proveSeconds: 60 }]);
  expect(stdout).toContain("/etc/hosts has another content");
  expect(stderr).toContain("1 file differs");
});

test("a proof that came to nothing is shown beside the verdict, and is no error", async () => {
  end = { ...end, proof: { ...proof, outcome: "unknown" } };
  const { code, stdout } = await drill("--prove", "--prove-seconds", "90", "--wait");
  expect(code).toBe(0);
  expect(asked).toMatchObject([{ proveSeconds: 90 }]);
  expect(stdout).toContain("the copy is not proved: no boot image");
  expect(stdout).toContain("booted after 41 s");
});

test("a drill that was started before is waited for, and its outcome is the exit code", async () => {
  const again = () => recordedRun(["drills", "drl_1", "--wait"], api.environment);
  expect(await again()).toMatchObject({ code: 0, stdout: expect.stringContaining("booted after 41 s") });
  end = { state: "cancelled" };
  expect((await again()).code).toBe(1);
  expect((await recordedRun(["drills", "drl_1"], api.environment)).code).toBe(0);
});

test("one who waits with --json gets the id at once, and how to wait again", async () => {
  const { stdout, stderr } = await drill("--wait", "--json");
  expect(JSON.parse(stdout)).toMatchObject({ id: "drl_1" });
  expect(stderr).toContain("drl_1 started; it continues if you stop waiting: `causeway drills drl_1 --wait`");
});
