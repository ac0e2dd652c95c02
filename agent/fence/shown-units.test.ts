import { expect, test } from "vitest";
import { shownUnits } from "./shown-units.ts";

let calls: string[][];
/** What a real systemd 252 prints; it refuses a template, and with it the whole call. */
const systemctl = async (...args: string[]) => {
  calls.push(args);
  const units = args.slice(2);
  if (units.some((unit) => unit.includes("@.")))
    throw new Error("neither a valid invocation ID nor unit name");
  return units.map((unit) => `Id=${unit}\nControlGroup=\nDescription=a=b\n`).join("\n");
};
const ask = (...units: string[]) => {
  calls = [];
  return shownUnits(units, ["Id", "ControlGroup", "Description"], systemctl);
};
const shown = (unit: string) =>
  new Map([
    ["Id", unit],
    ["ControlGroup", ""],
    ["Description", "a=b"],
  ]);

test("one program shows several units, also those without a value", async () => {
  expect(await ask("a.service", "b.socket")).toEqual(
    new Map([
      ["a.service", shown("a.service")],
      ["b.socket", shown("b.socket")],
    ]),
  );
  expect(calls).toEqual([["show", "--property=Id,ControlGroup,Description", "a.service", "b.socket"]]);
});

test("nothing is asked about no unit: systemctl would show systemd itself", async () => {
  expect(await ask()).toEqual(new Map());
  expect(calls).toEqual([]);
});

test("a unit that systemd refuses hides no other, and has the reason", async () => {
  const all = await ask("a.service", "b@.service", "c.service");
  expect(all.get("a.service")).toEqual(shown("a.service"));
  expect(all.get("c.service")).toEqual(shown("c.service"));
  expect(all.get("b@.service")).toMatchObject({ message: expect.stringContaining("neither a valid") });
});

test("an answer about fewer units than were asked for is given to none of them", async () => {
  const short = (...args: string[]) => systemctl(...args.slice(0, 3));
  calls = [];
  const all = await shownUnits(["a.service", "b.service"], ["Id"], short);
  expect(all.get("b.service")).toEqual(shown("b.service"));
  expect(calls).toHaveLength(3);
});
