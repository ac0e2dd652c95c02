import { expect, test, vi } from "vitest";
import type { Terminal } from "./terminal.ts";
import { waitForEnd } from "./wait-for-end.ts";

test("a log gets each waiting line once, although the moments between two steps have none", async () => {
  vi.useFakeTimers();
  const steps = [undefined, "arm", "arm", undefined, "reboot  machine restarting", undefined, "capture  1 %"];
  const lines: string[] = [];
  const terminal: Terminal = {
    ...{ out: () => {}, outBytes: async () => {}, err: (text) => void lines.push(text) },
    ...{ interactive: false, columns: 80 },
  };
  let turn = 0;
  const ended = waitForEnd(
    async () => ({ step: steps[turn], ...(turn++ < steps.length ? {} : { endedAt: "now" }) }),
    ({ step }) => step,
    terminal,
  );
  await vi.runAllTimersAsync();
  expect(await ended).toMatchObject({ endedAt: "now" });
  expect(lines).toEqual(["starting\n", "arm\n", "reboot  machine restarting\n", "capture  1 %\n"]);
  vi.useRealTimers();
});
