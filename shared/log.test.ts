import { expect, test } from "vitest";
import { errorFields, jsonLog } from "./log.ts";

const linesOf = (use: (log: ReturnType<typeof jsonLog>) => void, fields?: Record<string, unknown>) => {
  const lines: string[] = [];
  use(jsonLog({ write: (line) => lines.push(line), now: () => 0, ...(fields ? { fields } : {}) }));
  return lines;
};

test("each entry is one line of JSON with time, level and message first", () => {
  const lines = linesOf((log) => {
    log.info("started", { port: 1 });
    log.error("two\nlines");
  });
  expect(lines).toEqual([
    '{"timestamp":"1970-01-01T00:00:00.000Z","level":"INFO","message":"started","port":1}\n',
    '{"timestamp":"1970-01-01T00:00:00.000Z","level":"ERROR","message":"two\\nlines"}\n',
  ]);
});

test("fields of the log are on every line, and a line may replace them", () => {
  const lines = linesOf((log) => log.warn("late", { function: "other" }), { function: "one", x: 1 });
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([{ level: "WARN", function: "other", x: 1 }]);
});

test("an error is logged with its name, stack and cause; anything else as text", () => {
  const { error } = errorFields(new TypeError("bad", { cause: new Error("why") }));
  expect(error).toMatchObject({ name: "TypeError", message: "bad", cause: "Error: why" });
  expect(error).toHaveProperty("stack");
  expect(errorFields("odd")).toEqual({ error: "odd" });
});
