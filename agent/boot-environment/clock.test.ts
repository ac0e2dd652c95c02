import { expect, test } from "vitest";
import { fetchThatSetsClock } from "./clock.ts";

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

test("a clock that lost its time is set by the control plane's answer, and that is told", async () => {
  const { ran, told } = await asked("2003-01-01T00:00:00Z", { date: NOON });
  expect(ran).toEqual([`date -s @${Date.parse(NOON) / 1000}`]);
  expect(told).toEqual([new Date("2003-01-01T00:00:00Z")]);
});

test("a clock that is about right stays, and so does one whose time nobody tells", async () => {
  expect((await asked("2030-01-01T12:00:30Z", { date: NOON })).ran).toEqual([]);
  expect((await asked("2003-01-01T00:00:00Z", {})).ran).toEqual([]);
  expect((await asked("2003-01-01T00:00:00Z", { date: "soon" })).ran).toEqual([]);
});

test("a clock that cannot be set is not said to be", async () => {
  expect((await asked("2003-01-01T00:00:00Z", { date: NOON }, 1)).told).toEqual([]);
});
