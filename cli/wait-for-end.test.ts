import { expect, test, vi } from "vitest";
import type { Terminal } from "./terminal.ts";
import { waitForEnd } from "./wait-for-end.ts";

const terminalTo = (lines: string[], interactive: boolean): Terminal => ({
  ...{ out: () => {}, outBytes: async () => {}, err: (text) => void lines.push(text) },
  ...{ interactive, columns: 80 },
});

test("a log gets each waiting line once, although the moments between two steps have none", async () => {
  vi.useFakeTimers();
  const steps = [undefined, "arm", "arm", undefined, "reboot  machine restarting", undefined, "capture  1 %"];
  const lines: string[] = [];
  let turn = 0;
  const ended = waitForEnd(
    async () => ({ step: steps[turn], ...(turn++ < steps.length ? {} : { endedAt: "now" }) }),
    ({ step }) => step,
    terminalTo(lines, false),
  );
  await vi.runAllTimersAsync();
  expect(await ended).toMatchObject({ endedAt: "now" });
  expect(lines).toEqual(["starting\n", "arm\n", "reboot  machine restarting\n", "capture  1 %\n"]);
  vi.useRealTimers();
});

test("what is new stays above the waiting line, also what is known only at the end", async () => {
  vi.useFakeTimers();
  const lines: string[] = [];
  let turn = 0;
  const ended = waitForEnd(
    async () => (turn++ === 0 ? { news: ["one", "two"] } : { news: ["three"], endedAt: "now" }),
    () => "waiting",
    terminalTo(lines, true),
    { news: ({ news }) => news, pauseMs: () => 5_000 },
  );
  await vi.advanceTimersByTimeAsync(4_000);
  expect(turn).toBe(1);
  await vi.runAllTimersAsync();
  await ended;
  const kept = lines.filter((line) => line.endsWith("\n")).map((line) => line.replace("\r\u001b[K", ""));
  expect(kept).toEqual(["one\n", "two\n", "three\n"]);
  expect(lines.filter((line) => line.includes("waiting"))).toHaveLength(1);
  vi.useRealTimers();
});
