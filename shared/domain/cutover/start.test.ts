import { expect, test } from "vitest";
import { aCutover } from "../testing/cutover-record.ts";
import type { CutoverRecord } from "./cutover.ts";
import {
  approvedCutover,
  begunCutover,
  editedCutover,
  goneCutover,
  heldCutover,
  startDecision,
} from "./start.ts";

const at = (time: string) => Date.parse(`2030-01-0${time}:00.000Z`);
const begins = (change: Partial<CutoverRecord>, time: string) =>
  startDecision(aCutover(change), at(time)).kind;
const by = (time: string) => ({ by: "ada", at: new Date(at(time)).toISOString() });
const approvedBy = (cutover: CutoverRecord, person: string, version: number) =>
  approvedCutover(cutover, { by: person, version }, by("1T12:00").at);

test("an automatic one begins within its hours, and up to the margin before they end", () => {
  const change = { mode: "automatic" } as const;
  expect(startDecision(aCutover(change), at("1T21:00"))).toEqual({ kind: "wait", until: at("1T22:00") });
  expect(startDecision(aCutover(change), at("1T22:00"))).toEqual({
    kind: "begin",
    deadlineAt: at("1T22:58"),
    wantedBy: "window",
  });
  expect(begins(change, "1T22:58")).toBe("wait");
  expect(startDecision(aCutover(change), at("2T22:59"))).toEqual({ kind: "wait", until: at("2T23:00") });
  expect(startDecision(aCutover(change), at("2T23:00"))).toEqual({ kind: "wait", until: undefined });
});

test("a go, and a forecast that held it back, are about the hours that are open", () => {
  expect(begins({ go: by("1T22:01") }, "1T22:01")).toBe("begin");
  expect(begins({ go: by("1T22:01") }, "2T22:01")).toBe("wait");
  const heldBack = { at: by("1T22:00").at, why: "it does not fit" };
  expect(begins({ mode: "automatic", heldBack }, "1T22:30")).toBe("wait");
  expect(begins({ mode: "automatic", heldBack }, "2T22:00")).toBe("begin");
  expect(begins({ mode: "automatic", heldBack, go: by("1T22:10") }, "1T22:30")).toBe("begin");
});

test("one that needs an approval does not begin without it, even after a go", () => {
  const change = { mode: "automatic", needsApproval: true, go: by("1T22:00") } as const;
  expect(begins(change, "1T22:00")).toBe("wait");
  expect(begins({ ...change, approved: { by: "bob", at: by("1T10:00").at } }, "1T22:00")).toBe("begin");
});

const forecast = {
  ...{ at: by("1T22:00").at, outageSeconds: 9, low: 1, high: 99, fits: false, basis: "guessed" as const },
  ...{ advice: "choose a longer window", parts: [] },
};

test("by itself none begins on a guess, which a person may accept in the same hours", () => {
  const boot = { part: "boot" as const, seconds: 9, low: 1, high: 99, measured: false };
  const guess = { ...forecast, fits: true, advice: "recover it once", parts: [boot] };
  const held = begunCutover(aCutover({ mode: "automatic" }), guess, at("1T22:00"));
  expect(held).toMatchObject({ state: "waiting", heldBack: { why: "recover it once" } });
  const gone = goneCutover(held, { by: "ada", forecast: guess }, at("1T22:05"));
  expect(begunCutover(gone, guess, at("1T22:05"))).toMatchObject({ state: "pre-sync" });
  const measured = { ...guess, parts: [{ ...boot, measured: true }] };
  expect(begunCutover(aCutover({ mode: "automatic" }), measured, at("1T22:00")).state).toBe("pre-sync");
});

test("a go that the forecast refuses is used up, and one that begins twice begins once", () => {
  const cutover = aCutover({ go: by("1T22:00") });
  const held = begunCutover(cutover, forecast, at("1T22:00"));
  expect(held).toMatchObject({ state: "waiting", heldBack: { why: "choose a longer window" } });
  expect(held.go).toBeUndefined();
  const begun = begunCutover(cutover, { ...forecast, fits: true }, at("1T22:00"));
  expect(begun).toMatchObject({ state: "pre-sync", deadlineAt: "2030-01-01T22:58:00.000Z" });
  expect(begunCutover(begun, forecast, at("1T22:01"))).toBe(begun);
});

test("hours that are over, or no longer than the margin, are refused", () => {
  const edit =
    (change: object, time = "1T12:00") =>
    () =>
      editedCutover(aCutover(), change, { by: "bob", now: at(time) });
  expect(edit({ marginSeconds: 3600 })).toThrow("longer than the margin of 3600 s");
  expect(edit({ marginSeconds: 300 }, "2T22:56")).toThrow(
    "none of them is open from now on for longer than the margin of 300 s; the last one closes at 2030-01-02T23:00",
  );
  expect(edit({}, "3T12:00")).toThrow(
    "the last one ended at 2030-01-02T23:00:00.000Z, and it is 2030-01-03T12",
  );
  const skipped = { firstDay: "2030-03-31", from: "02:00", to: "03:00", timeZone: "Europe/Vienna" };
  expect(edit({ windows: [skipped] })).toThrow("clocks are set forward over all of these hours");
  expect(edit({ marginSeconds: 300 })()).toMatchObject({ marginSeconds: 300, changedBy: ["ada", "bob"] });
});

test("no person approves what is partly their own, also after another one changed it", () => {
  const now = at("1T12:00");
  const byBob = editedCutover(aCutover({ needsApproval: true }), { marginSeconds: 300 }, { by: "bob", now });
  const byEve = editedCutover(byBob, { marginSeconds: 200 }, { by: "eve", now });
  for (const person of ["ada", "bob", "eve"])
    expect(() => approvedBy(byEve, person, 3)).toThrow("or changed it");
  expect(approvedBy(byEve, "ida", 3)).toMatchObject({ approved: { by: "ida" } });
});

test("an approval is for one version: an edit makes another one and ends it, a hold does not", () => {
  const cutover = aCutover({ mode: "automatic", needsApproval: true });
  const approved = approvedBy(cutover, "ida", 1);
  expect(heldCutover(approved)).toMatchObject({ mode: "hold", edition: 1, approved: { by: "ida" } });
  const edited = editedCutover(approved, { marginSeconds: 300 }, { by: "bob", now: at("1T12:00") });
  expect(edited.approved).toBeUndefined();
  expect(() => approvedBy(edited, "ida", 1)).toThrow(
    expect.objectContaining({
      name: "CutoverEditedError",
      message: "cutover cut_1 has version 2, not 1",
      hint: expect.stringContaining("approve version 2"),
    }),
  );
  const again = approvedBy(edited, "ida", 2);
  expect(() => approvedBy(again, "eve", 1)).toThrow("has version 2, not 1");
  expect(approvedBy(again, "eve", 2)).toBe(again);
});
