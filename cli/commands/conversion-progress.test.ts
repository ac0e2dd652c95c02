import { expect, test } from "vitest";
import type { Conversion } from "#shared/protocol/resources.ts";
import { progressLine } from "./conversion-progress.ts";

const awaiting: Conversion = {
  id: "cnv_1",
  type: "remote-cold",
  sourceId: "agt_1",
  targetId: "agt_2",
  format: "raw",
  bootCheck: false,
  state: "running",
  steps: [
    { name: "reboot", state: "done", work: [] },
    {
      name: "boot-environment",
      state: "running",
      work: [{ commandId: "cmd_1", agentId: "agt_1", state: "pending" }],
    },
  ],
  machine: { is: "rebooting", bootState: "armed", since: "2030-01-01T02:30:00.000Z" },
  requestedBy: "operator",
  createdAt: "2030-01-01T02:00:00.000Z",
};

test("while a machine restarts, the line says since when", () => {
  expect(progressLine(awaiting)).toBe("boot-environment  machine restarting since 2030-01-01T02:30:00.000Z");
});

test("a conversion that has ended shows no progress", () => {
  expect(progressLine({ ...awaiting, state: "completed", steps: [] })).toBeUndefined();
});
