import { mkdtempSync, readdirSync, readFileSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { LogFiles } from "./log-sink.ts";

test("each source has a file of JSON lines that never grows beyond its bound", () => {
  const directory = mkdtempSync(join(tmpdir(), "logs-"));
  const log = new LogFiles({ directory, now: () => Date.UTC(2030, 0, 1), rotateBytes: 1000 });
  for (let n = 0; n < 100; n++) log.write("capture", { level: "INFO", message: { n }, requestId: "r-1" });
  log.write("../odd", { level: "ERROR", message: "text" });
  expect(readdirSync(directory).sort()).toEqual([".._odd.jsonl", "capture.1.jsonl", "capture.jsonl"]);
  expect(statSync(join(directory, "capture.jsonl")).size).toBeLessThan(1100);
  const lines = readFileSync(join(directory, "capture.jsonl"), "utf8").trimEnd().split("\n");
  expect(JSON.parse(lines.at(-1) ?? "")).toEqual({
    time: "2030-01-01T00:00:00.000Z",
    level: "INFO",
    message: { n: 99 },
    requestId: "r-1",
  });
});

test("the bound also counts what was in the file before the start", () => {
  const directory = mkdtempSync(join(tmpdir(), "logs-"));
  const open = () => new LogFiles({ directory, now: () => 0, rotateBytes: 100 });
  open().write("one", { level: "INFO", message: "x".repeat(100) });
  open().write("one", { level: "INFO", message: "second" });
  expect(readdirSync(directory).sort()).toEqual(["one.1.jsonl", "one.jsonl"]);
});
