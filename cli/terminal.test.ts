import { expect, test } from "vitest";
import { ProgressLine } from "./progress.ts";
import { oneLine, print, type Terminal, table } from "./terminal.ts";

function recorder(interactive = false) {
  const written = { out: "", err: "" };
  const terminal: Terminal = {
    out: (text) => {
      written.out += text;
    },
    outBytes: async () => undefined,
    err: (text) => {
      written.err += text;
    },
    interactive,
    columns: 40,
  };
  return { written, terminal };
}

test("with --json one document is printed, otherwise text for people", () => {
  const { written, terminal } = recorder();
  print(terminal, true, { id: "a" }, () => "text");
  print(terminal, false, { id: "a" }, () => "text");
  expect(written).toEqual({ out: '{"id":"a"}\ntext\n', err: "" });
});

test("rows are in columns under their heading", () => {
  expect(
    table(
      ["ID", "NAME"],
      [
        ["agt_1", "pine"],
        ["x", ""],
      ],
      "none",
    ),
  ).toBe("ID     NAME\nagt_1  pine\nx");
  expect(table(["ID"], [], "none")).toBe("none");
});

test("no name of an agent can send control sequences to the terminal that shows it", () => {
  const { written, terminal } = recorder(true);
  const name = "pine\u001b]0;owned\u0007\u001b[2J\r\u009b31m";
  print(terminal, false, {}, () => table(["ID", "NAME"], [["agt_1", name]], ""));
  expect(written.out).not.toMatch(/[^\P{Cc}\n]/u);
  const line = new ProgressLine(terminal);
  line.show(`boot-check  ${name}`);
  expect(written.err.replace("\r\u001b[K", "")).not.toMatch(/\p{Cc}/u);
});

test("no text that an agent sent adds a line, a row or a column to the output, or reverses it", () => {
  const { written, terminal } = recorder();
  const text = "pine\nagt_2  oak\r\n\u2028agt_3\u2029x\u0085y\u202egnol\u2066z\u200e";
  print(terminal, false, {}, () => table(["ID", "NAME"], [["agt_1", text]], ""));
  expect(written.out.split(/[\n\u2028\u2029]/)).toHaveLength(3);
  expect(written.out).not.toMatch(/\p{Bidi_Control}/u);
  new ProgressLine(terminal).show(`verify  ${text}`);
  expect(written.err.split(/[\n\u2028\u2029]/)).toHaveLength(2);
});

test("text in any language stays as it is", () => {
  expect(oneLine("zwölf 日本 می‌خواهم 👩‍🔧")).toBe("zwölf 日本 می‌خواهم 👩‍🔧");
});

test("a log gets a line only when the stage changes, a terminal one line that is rewritten", () => {
  const log = recorder();
  const watched = recorder(true);
  for (const { terminal } of [log, watched]) {
    const line = new ProgressLine(terminal);
    for (const text of ["capture  1 %", "capture  2 %", "verify  1 %"]) line.show(text);
    line.end();
  }
  expect(log.written.err).toBe("capture  1 %\nverify  1 %\n");
  expect(watched.written.err.split("\r\u001b[K")).toEqual([
    "",
    "capture  1 %",
    "capture  2 %",
    "verify  1 %",
    "",
  ]);
});
