import { expect, test } from "vitest";
import { clockToSet, fetchThatSetsClock, setClockForward } from "./clock.ts";

const NOON = "Tue, 01 Jan 2030 12:00:00 GMT";

async function asked(now: string, headers: Record<string, string>, status = 0) {
  const ran: string[] = [];
  const told: Date[] = [];
  const machine = {
    run: async (...words: string[]) => {
      ran.push(words.join(" "));
      return { status, output: "" };
    },
  };
  const fetching = fetchThatSetsClock(
    machine,
    { now: () => new Date(now), onSet: (was) => told.push(was) },
    async () => new Response("{}", { headers }),
  );
  expect((await fetching("https://api.example.com")).status).toBe(200);
  return { ran, told };
}

test("a clock that lost its time is set by the control plane's answer, and the change is reported", async () => {
  const { ran, told } = await asked("2003-01-01T00:00:00Z", { date: NOON });
  expect(ran).toEqual([`date -s @${Date.parse(NOON) / 1000}`]);
  expect(told).toEqual([new Date("2003-01-01T00:00:00Z")]);
});

test("a clock is not changed if it is about right, or if no answer has the time", async () => {
  expect((await asked("2030-01-01T12:00:30Z", { date: NOON })).ran).toEqual([]);
  expect((await asked("2003-01-01T00:00:00Z", {})).ran).toEqual([]);
  expect((await asked("2003-01-01T00:00:00Z", { date: "soon" })).ran).toEqual([]);
});

test("a clock that cannot be set is not reported as set", async () => {
  expect((await asked("2003-01-01T00:00:00Z", { date: NOON }, 1)).told).toEqual([]);
});

const armedAt = new Date("2030-06-01T12:00:00.250Z");

test.each([
  ["that lost its time", "1970-01-01T00:00:07Z"],
  ["that holds the local time of New York", "2030-06-01T08:01:30Z"],
  ["that is behind by less than a second", "2030-06-01T12:00:00.249Z"],
])("a firmware clock %s is set to when the original system was left, not a second earlier", (_, clock) => {
  expect(clockToSet(new Date(clock), armedAt)?.toISOString()).toBe("2030-06-01T12:00:01.000Z");
});

test.each(["2030-06-01T12:00:00.250Z", "2030-06-01T12:01:30Z", "2030-06-01T14:01:30Z"])(
  "a clock that may be right is left alone: %s",
  (clock) => {
    expect(clockToSet(new Date(clock), armedAt)).toBeUndefined();
  },
);

function machineWith(status: number) {
  const commands: string[] = [];
  const run = async (command: string, ...args: string[]) => {
    commands.push([command, ...args].join(" "));
    return { status, output: "date: not permitted" };
  };
  return { commands, run };
}

test("the clock is set once, by the seconds since 1970, in any time zone", async () => {
  const { commands, run } = machineWith(0);
  const times = { clock: new Date(0), notBefore: armedAt };
  expect(await setClockForward({ run }, times)).toBe(true);
  expect(commands).toEqual([`date -u -s @${Date.UTC(2030, 5, 1, 12, 0, 1) / 1000}`]);
  expect(await setClockForward({ run }, { clock: armedAt, notBefore: armedAt })).toBe(false);
  expect(commands).toHaveLength(1);
});

test("a clock that cannot be set is an error in the system's own words", async () => {
  const set = setClockForward(machineWith(1), { clock: new Date(0), notBefore: armedAt });
  await expect(set).rejects.toThrow("date: not permitted");
});
