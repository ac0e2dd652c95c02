/**
 * Cutovers in real time on loop devices, under real systemd. Each loses the control plane or an agent in one
 * of its states, for less and for more than a lease lasts; and one leads to a machine that does not boot.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LEASE_SECONDS } from "#shared/domain/lease.ts";
import type { LoadedSource } from "../testing/loaded-source.ts";
import { MeasuredCutovers, VICTIMS } from "../testing/measured-cutovers.ts";

const MIB = 2 ** 20;
const LOAD = { diskMiB: 64, bytesPerSecond: MIB / 4, areaMiB: 16, stopSeconds: 1 };
const STATES = ["pre-sync", "quiescing", "final-sync", "checking", "committing"] as const;
const ABSENCES = [5, LEASE_SECONDS + 40];

const rows = STATES.flatMap((state) =>
  VICTIMS.flatMap((victim) => ABSENCES.map((seconds) => [victim, state, seconds] as const)),
);

let cutovers: MeasuredCutovers;
let source: LoadedSource;
beforeAll(async () => {
  cutovers = await MeasuredCutovers.start();
  source = await cutovers.protect(LOAD);
});
afterAll(async () => {
  await source?.[Symbol.asyncDispose]();
  await cutovers?.[Symbol.asyncDispose]();
});

describe("of source and machine one runs in the end, with every write that was acknowledged, and they never took turns", () => {
  test.each(rows)("the %s is lost in %s for %i s", async (victim, state, seconds) => {
    const row = { victim, state, seconds };
    const { cutover, turns, isNothingLost, machines, isSourceServing } = await cutovers.lose(source, row);
    console.log(`${cutover.state}; answered: ${turns.join(", ")}; ${cutover.failure?.message ?? ""}`);
    expect(isNothingLost).toBe(true);
    if (cutover.state === "completed") {
      expect({ turns, machines, isSourceServing }).toEqual({
        ...{ turns: ["source", "machine"], machines: 1, isSourceServing: false },
      });
    } else {
      expect(["rolled-back", "failed"]).toContain(cutover.state);
      expect({ turns, machines, isSourceServing }).toEqual({
        ...{ turns: ["source"], machines: 0, isSourceServing: true },
      });
    }
  });
});

test("a machine that does not boot is gone again, the source serves with every write, and its standby needs no other baseline", async () => {
  const { cutover, ...rest } = await cutovers.cutOverToNothing(source);
  expect(cutover).toMatchObject({ state: "rolled-back", failure: { name: "MachineSilentError" } });
  expect(rest).toEqual({ turns: ["source"], isNothingLost: true, machines: 0, isSourceServing: true });
  const { result } = await cutovers.nextRun(source);
  expect(result?.standby).toMatchObject({ state: "applied" });
  expect(result?.disks.find(({ name }) => name === "data")).toMatchObject({ mode: "tracked" });
});
