import { afterEach, beforeEach, expect, test } from "vitest";
import type { CutoverRecord } from "#shared/domain/cutover/cutover.ts";
import { cutoverOf } from "#shared/domain/cutover/view.ts";
import { aCutover } from "#shared/domain/testing/cutover-record.ts";
import { FakeApi } from "../testing/fake-api.ts";
import { recordedRun } from "../testing/recorded-run.ts";

const at = (time: string) => `2030-01-01T${time}.000Z`;
const names = ["baseline", "waiting", "pre-sync", "quiescing", "final-sync", "checking"] as const;
const states = names.map((name, index) => ({ name, at: at(`22:0${index}:00`) }));
/** As the API answers. */
const shown = (change: Partial<CutoverRecord>) =>
  cutoverOf(
    aCutover({ deadlineAt: at("22:58:00"), runs: [{ id: "run_1", phase: "pre-sync", turn: 1 }], ...change }),
    Date.parse(at("22:02:00")),
  );
const underWay = shown({ state: "pre-sync", states: states.slice(0, 3) });
const end = (state: CutoverRecord["state"], change: Partial<CutoverRecord>) => {
  const ended = { name: state, at: at("22:09:00") };
  return shown({ state, states: [...states, ended], endedAt: ended.at, ...change });
};
let api: FakeApi;
/** What the API answers, in order; the last for all further calls. */
let answers: object[];

beforeEach(async () => {
  let calls = 0;
  api = await FakeApi.start(() => answers[calls++] ?? answers.at(-1));
});
afterEach(() => api.close());

const follow = (...words: string[]) =>
  recordedRun(["cutover", "show", "cut_1", "--wait", ...words], api.environment);
const completed: Partial<CutoverRecord> = {
  machine: {
    ...{ hypervisor: "libvirt", name: "pine-1", uuid: "0b2f5c0a-7d61-8c3e-8f00-1a2b3c4d5e6f" },
    ...{ bootDisk: "sda", bootReason: "it is the only disk" },
  },
  ...{ answer: { seconds: 41, reason: "it accepts connections" }, outageSeconds: 80 },
};

test("a cutover is followed to its end: each state once with its time, also those between two looks", async () => {
  answers = [underWay, end("completed", completed)];
  const { code, stdout, stderr } = await follow();
  const lines = stderr.trim().split("\n");
  const isState = (line: string) => line.startsWith("2030-");
  expect(lines.filter(isState)).toEqual([
    "2030-01-01T22:00:00.000Z  baseline",
    "2030-01-01T22:01:00.000Z  waiting",
    "2030-01-01T22:02:00.000Z  pre-sync  56 min 00 s to its deadline",
    "2030-01-01T22:03:00.000Z  quiescing  55 min 00 s to its deadline",
    "2030-01-01T22:04:00.000Z  final-sync  54 min 00 s to its deadline",
    "2030-01-01T22:05:00.000Z  checking  53 min 00 s to its deadline",
    "2030-01-01T22:09:00.000Z  completed",
  ]);
  const [progress, ...others] = lines.filter((line) => !isState(line));
  expect(progress).toMatch(/^cut_1 {2}pre-sync {2}run_1 {2}\d.* to its deadline$/);
  expect(others).toEqual([]);
  expect(stdout).toContain("outage 1 min 20 s: it accepts connections");
  expect(stdout).toContain("states since 2030-01-01T22:00:00.000Z: baseline 1 min 00 s, waiting 1 min 00 s,");
  expect(code).toBe(0);
});

test("while its run reads the source or writes the standby, the line has the rate and the remaining time", async () => {
  const progress = {
    bytesDone: 2 ** 20,
    bytesTotal: 2 ** 22,
    rateBytesPerSecond: 2 ** 19,
    remainingSeconds: 6,
  };
  answers = [{ ...underWay, copying: { part: "capture", progress } }, end("completed", completed)];
  const { stderr } = await follow();
  expect(stderr).toMatch(
    /pre-sync {2}run_1 {2}reading the source {2}\[#{5}-{15}\] {2}25 % {2}1\.0 MiB of 4\.0 MiB {2}512 KiB\/s {2}6 s left {2}.* to its deadline/,
  );
});

test("one that is rolled back ends the wait with its failure, and with one document of JSON", async () => {
  const failure = { name: "MachineSilentError", message: "no answer", hint: "Look.", retryable: false };
  answers = [end("rolled-back", { failure, sourceServes: "yes" })];
  const { code, stdout, stderr } = await follow("--json");
  expect(code).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({ state: "rolled-back", sourceServes: "yes" });
  expect(stderr).toMatch(/no answer[\s\S]*Look\./);
});

test("one whose machine could not be removed says why, and how to do it by hand", async () => {
  const failure = { name: "HypervisorFailedError", message: "virsh failed", hint: "Look.", retryable: false };
  answers = [end("rolled-back", { removal: { state: "failed", failure }, sourceServes: "yes" })];
  const { stdout } = await follow();
  expect(stdout).toContain("target host agt_target could not remove what it made: virsh failed");
  expect(stdout).toContain("causeway machine remove cut_1 --disks");
});

test("one that is cancelled has not completed, either", async () => {
  answers = [end("cancelled", {})];
  const { code, stderr } = await follow();
  expect(stderr).toContain("cutover cut_1 is cancelled");
  expect(code).toBe(1);
});

test("one that is being rolled back does not say yet that the source serves, and none is said to be open", async () => {
  const failure = { name: "CutoverStoppedError", message: "ada stopped it", hint: "Nothing to do." };
  answers = [
    shown({
      ...{ state: "rolling-back", states: [...states, { name: "rolling-back", at: at("22:07:00") }] },
      failure: { ...failure, retryable: false },
    }),
  ];
  const { stdout } = await recordedRun(["cutover", "show", "cut_1"], api.environment);
  expect(stdout).toContain("ada stopped it");
  expect(stdout).toContain("it is not over yet: `causeway cutover show cut_1 --wait`");
  expect(stdout).not.toMatch(/Nothing to do|window is open|are left/);
});

test("a control plane that never answers ends the wait at once", async () => {
  const { environment } = api;
  api.close();
  const { code, stderr } = await recordedRun(["cutover", "show", "cut_1", "--wait"], environment);
  expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining("cannot reach") });
});
