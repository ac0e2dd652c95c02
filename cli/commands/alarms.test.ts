import { expect, test } from "vitest";
import type { Alarm } from "#shared/protocol/alarms.ts";
import { recordedRun } from "../testing/recorded-run.ts";
import { alarmList } from "./alarms.ts";

const alarm: Alarm = {
  id: "alm_1",
  kind: "source-away",
  state: "open",
  subject: "cnv_1",
  sourceName: "db\u001b[2J\nalm_2  open",
  cause: "It has not come back.",
  action: "Look at its screen.",
  since: "2030-01-01T00:00:00.000Z",
  raisedAt: "2030-01-01T00:10:00.000Z",
  reports: 1,
  reportedAt: "2030-01-01T00:10:00.000Z",
  unsentNotices: 0,
  webhook: [],
};
const delivery = {
  noticeId: "alm_1.1",
  attempts: 3,
  at: "2030-01-01T00:11:00.000Z",
  problem: "it answered 500",
};

test("an open alarm says its cause and what to do, and a source's name adds no line", () => {
  expect(alarmList([alarm]).split("\n")).toEqual([
    "ID     STATE  KIND         ON                  RAISED                    CLEARED",
    "alm_1  open   source-away  db\ufffd[2J alm_2  open  2030-01-01T00:10:00.000Z  -",
    "",
    "alm_1",
    "  It has not come back.",
    "  What to do: Look at its screen.",
  ]);
});

test("a webhook that fails is visible, and one that works is not", () => {
  const withDelivery = (state: Alarm["webhook"][number]["state"]) =>
    alarmList([{ ...alarm, state: "cleared", webhook: [{ ...delivery, state }] }])
      .split("\n")
      .slice(3);
  expect(withDelivery("delivered")).toEqual([]);
  expect(withDelivery("failing").at(-1)).toBe(
    "  Webhook: notice alm_1.1 has not arrived after 3 attempts, the last one at 2030-01-01T00:11:00.000Z: it answered 500. It will be sent again.",
  );
  expect(withDelivery("given-up").at(-1)).toContain("It is not sent again.");
  expect(withDelivery("dropped").at(-1)).toContain("the webhook was removed");
});

test("no alarm is one line", () => {
  expect(alarmList([])).toBe("No alarm.");
});

test("a webhook without a secret, or with two, is a mistake in the command", async () => {
  const to = ["webhook", "set", "--to", "https://alerts.example.com"];
  expect(await recordedRun(to)).toMatchObject({ code: 2 });
  expect(await recordedRun([...to, "--secret", "x", "--secret-file", "y"])).toMatchObject({ code: 2 });
});
