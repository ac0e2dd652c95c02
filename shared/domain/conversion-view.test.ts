import { expect, test } from "vitest";
import { failureOf } from "../errors.ts";
import type { CommandKind } from "../protocol/commands.ts";
import { type CommandRecord, failed, plan, succeeded } from "./command.ts";
import { abandonedSteps, completedSteps, openCommands, stepsOf } from "./conversion-view.ts";
import { aConversion } from "./testing/records.ts";
import { untouchedWhereabouts } from "./whereabouts.ts";

const NOW = "2030-01-01T00:01:00.000Z";
const LATER = "2030-01-01T00:02:00.000Z";
const preflighted = aConversion({ preflightPassedAt: NOW });

function wanted(kind: CommandKind, label?: string, round = 1, tries: CommandRecord[] = []): CommandRecord {
  const conversion = { ownerId: "cnv_1", agentId: "agt_1", requestedBy: "ada", input: {} };
  return plan({ ...conversion, kind, label, round }, tries, NOW).command;
}
const done = (command: CommandRecord) => succeeded(command, {}, LATER);
const broken = (command: CommandRecord) => failed(command, failureOf(new Error("x")), LATER);
const states = (...args: Parameters<typeof stepsOf>) =>
  stepsOf(...args)
    .map((step) => step.state)
    .join(" ");

test("a conversion that just began is in its preflight", () => {
  expect(states(aConversion(), [])).toBe("running waiting waiting waiting waiting waiting");
});

test("a capture by one command for all disks is done when that command is", () => {
  const two = aConversion({ preflightPassedAt: NOW, disks: ["vda", "vdb"] });
  expect(states(two, [wanted("take-recovery-point")])).toBe("done running waiting waiting waiting waiting");
  expect(states(two, [done(wanted("take-recovery-point"))])).toBe(
    "done done waiting waiting waiting waiting",
  );
});

test("a capture by a command for each disk is done only when every disk is", () => {
  const state = (commands: CommandRecord[]) =>
    stepsOf({ ...cold, disks: ["vda", "vdb"] }, commands).find(({ name }) => name === "capture")?.state;
  const first = done(wanted("capture-disk", "vda"));
  expect(state([first])).toBe("running");
  expect(state([first, done(wanted("capture-disk", "vdb"))])).toBe("done");
});

test("a step between two attempts is shown as running, with its last attempt only", () => {
  const first = broken(wanted("take-recovery-point"));
  expect(states(preflighted, [first])).toBe("done running waiting waiting waiting waiting");
  const second = wanted("take-recovery-point", undefined, 1, [first]);
  const capture = stepsOf(preflighted, [first, second])[1];
  expect(capture?.work.map((work) => work.commandId)).toEqual(["cnv_1.take-recovery-point.2"]);
  expect(capture?.startedAt).toBe(NOW);
});

test("when the images are written again, their old verdict is not shown", () => {
  const commands = [done(wanted("take-recovery-point"))];
  const written = done(wanted("materialise"));
  const refuted = broken(wanted("verify"));
  const again = wanted("materialise", undefined, 2, [written]);
  expect(states(preflighted, [...commands, written, refuted, again])).toBe(
    "done done running waiting waiting waiting",
  );
});

test("a completed conversion without a boot check says so", () => {
  const record = {
    ...preflighted,
    bootCheck: { enabled: false, timeoutSeconds: 600, memoryMiB: 1024 },
  };
  const commands = [done(wanted("take-recovery-point")), done(wanted("materialise")), done(wanted("verify"))];
  expect(states(record, commands)).toBe("done done done done skipped running");
  const steps = completedSteps(record, commands, LATER);
  expect(steps.map((step) => step.state).join(" ")).toBe("done done done done skipped done");
  expect(steps.at(-1)?.endedAt).toBe(LATER);
});

test.each([
  ["failed", "running" as const],
  ["cancelled", "cancelling" as const],
])("the step at which it ended is %s, and those after it never happened", (state, was) => {
  const record = { ...preflighted, state: was };
  const steps = abandonedSteps(record, [broken(wanted("take-recovery-point"))], LATER);
  expect(steps.map((step) => step.state).join(" ")).toBe(`done ${state} skipped skipped skipped skipped`);
});

test("the steps of an ended conversion stay as they were, whatever its commands do", () => {
  const steps = abandonedSteps(preflighted, [], LATER);
  const ended = { ...preflighted, state: "failed" as const, steps };
  expect(stepsOf(ended, [done(wanted("take-recovery-point"))])).toBe(steps);
});

test("housekeeping is not shown as a step", () => {
  const release = wanted("release", "source");
  expect(stepsOf(preflighted, [release]).flatMap((step) => step.work)).toEqual([]);
});

test("a clone that does not boot fails the boot check, though the check itself was done", () => {
  const output = { verdict: "not-booted", reason: "kernel panic", seconds: 9 };
  const commands = [
    done(wanted("take-recovery-point")),
    done(wanted("materialise")),
    done(wanted("verify")),
    succeeded(wanted("boot-check"), output, LATER),
  ];
  const steps = abandonedSteps(preflighted, commands, LATER);
  expect(steps.map((step) => step.state).join(" ")).toBe("done done done done failed skipped");
});

const cold = aConversion({
  type: "remote-cold",
  preflightPassedAt: NOW,
  whereabouts: untouchedWhereabouts(NOW),
});

function reboot(into: "original" | "boot-environment"): CommandRecord {
  const conversion = { ownerId: "cnv_1", agentId: "agt_1", requestedBy: "ada" };
  return plan({ ...conversion, kind: "reboot", label: into, round: 1, input: { into } }, [], NOW).command;
}

test("a remote cold conversion shows both restarts as steps of their own", () => {
  const commands = [done(wanted("stage-boot-image")), done(wanted("arm-boot")), reboot("boot-environment")];
  const steps = stepsOf(cold, commands);
  expect(steps.map(({ name, state }) => `${name} ${state}`).slice(0, 5)).toEqual([
    "preflight done",
    "stage done",
    "arm done",
    "reboot running",
    "boot-environment waiting",
  ]);
  const back = stepsOf(cold, [...commands, done(reboot("original")), wanted("attest-boot-state")]);
  expect(back.find(({ name }) => name === "return")?.state).toBe("done");
  expect(back.find(({ name }) => name === "receipt")?.state).toBe("running");
});

test("a hot conversion shows no steps for a restart", () => {
  expect(stepsOf(preflighted, []).map(({ name }) => name)).toEqual([
    "preflight",
    "capture",
    "materialise",
    "verify",
    "boot-check",
    "finish",
  ]);
});

test("a cancellation does not end the commands that bring a machine back", () => {
  const commands = [wanted("take-recovery-point"), reboot("original"), wanted("attest-boot-state")];
  expect(openCommands([...commands, reboot("boot-environment")]).map(({ id }) => id)).toEqual([
    "cnv_1.take-recovery-point.1",
    "cnv_1.reboot.boot-environment.1",
  ]);
});
