import { expect, test } from "vitest";
import type { CommandRecord } from "../command.ts";
import { rehearsalOf } from "./rehearsal.ts";

const adaptation = { adaptation: {} } as Parameters<typeof rehearsalOf>[0];

function command(kind: CommandRecord["kind"], change: Partial<CommandRecord> = {}): CommandRecord {
  return {
    ...{ id: `cut_1.${kind}.rehearsal.1`, ownerId: "cut_1", agentId: "agt_target", kind, label: "rehearsal" },
    ...{ round: 1, attempt: 1, input: {}, requestedBy: "ada", environment: "original", version: 0 },
    ...{ state: "succeeded", issuedAt: "2030-01-01T00:00:00.000Z" },
    ...change,
  };
}

const cloned = command("clone-standby");
const silent = command("adapt-machine", { state: "running" });

test("an adaptation that is being computed is shown so, until the workflow waits for it no longer", () => {
  expect(rehearsalOf(adaptation, [cloned, silent])).toEqual({ state: "running" });
  expect(rehearsalOf(adaptation, [cloned, silent, command("release")])).toMatchObject({
    state: "failed",
    failure: { name: "StepTimedOutError" },
  });
});

test("a clone whose files differed was removed before its adaptation was computed: nothing is known of that", () => {
  expect(rehearsalOf(adaptation, [cloned])).toEqual({ state: "running" });
  expect(rehearsalOf(adaptation, [cloned, command("release")])).toBeUndefined();
});

test("a machine that cannot be defined is shown, whatever its adaptation came to", () => {
  const failure = { name: "MachineUnsupportedError", message: "no such network", hint: "", retryable: false };
  const refused = command("define-machine", { state: "failed", failure });
  expect(rehearsalOf(adaptation, [cloned, refused, silent])).toEqual({ state: "failed", failure });
  expect(rehearsalOf({}, [cloned, refused])).toEqual({ state: "failed", failure });
});

test("a clone that was made for a proof shows only whether the machine can be defined", () => {
  expect(rehearsalOf({}, [cloned])).toBeUndefined();
  expect(rehearsalOf({}, [cloned, command("define-machine")])).toEqual({
    ...{ state: "done", isDefinable: true },
  });
});

test("a result counts also after that", () => {
  const output = {
    ...{ changes: [], commands: [], notes: [], stale: [] },
    ...{ isApplied: false, computeSeconds: 1, applySeconds: 0 },
  };
  const commands = [cloned, command("adapt-machine", { output }), command("release")];
  expect(rehearsalOf(adaptation, commands)).toEqual({ state: "done", changes: 0 });
});
