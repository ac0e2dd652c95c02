import { expect, test } from "vitest";
import { rowsOnConsole } from "./database-server.ts";

const console =
  "debian login: LEDGER 1-2\r\nLEDGER REPORTED\r\nboots again\r\nLEDGER 1-3,5-5,8-9\r\nLEDGER REPORTED\r\n";

test("the rows that a console shows are those of its last start", () => {
  expect([...rowsOnConsole(console)]).toEqual([1, 2, 3, 5, 8, 9]);
});

test("a console without a report has no rows to compare", () => {
  expect(() => rowsOnConsole("LEDGER \r\nLEDGER REPORTED\r\n")).toThrow("does not show the rows");
  expect(() => rowsOnConsole("login:")).toThrow("does not show the rows");
});
