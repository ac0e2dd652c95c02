import { expect, test } from "vitest";
import { listedServices } from "./listed-services.ts";

/** What a real systemd 252 says of each, by its name. */
const TOLD: Record<string, string> = {
  "db.service": "LoadState=loaded\nActiveState=active\n",
  "dump.service": "LoadState=loaded\nActiveState=inactive\n",
  "dbb.service": "LoadState=not-found\nActiveState=inactive\n",
  "gone.service": "LoadState=not-found\nActiveState=active\n",
  "masked.service": "LoadState=masked\nActiveState=inactive\n",
  "starting.service": "LoadState=loaded\nActiveState=activating\n",
  "crashed.service": "LoadState=loaded\nActiveState=failed\n",
};
const systemctl = async (...args: string[]) => {
  const names = args.slice(2);
  if (names.some((name) => name.includes("@.")))
    throw new Error("neither a valid invocation ID nor unit name");
  return names.map((name) => TOLD[name]).join("\n");
};

test("each listed service is said to run, to be stopped, or not to exist", async () => {
  expect(await listedServices(Object.keys(TOLD), systemctl)).toEqual([
    { name: "db.service", state: "running" },
    { name: "dump.service", state: "stopped" },
    { name: "dbb.service", state: "not-found" },
    { name: "gone.service", state: "running" },
    { name: "masked.service", state: "stopped" },
    { name: "starting.service", state: "running" },
    { name: "crashed.service", state: "stopped" },
  ]);
});

test("a template is no service, and hides nothing of the others", async () => {
  expect(await listedServices(["db@.service", "db.service"], systemctl)).toEqual([
    { name: "db@.service", state: "not-found" },
    { name: "db.service", state: "running" },
  ]);
  expect(await listedServices(["db@.service"], systemctl)).toEqual([
    { name: "db@.service", state: "not-found" },
  ]);
});

test("what systemd does not say stays unknown", async () => {
  const silent = async () => {
    throw new Error("it took more than 120 s");
  };
  expect(await listedServices(["db.service"], silent)).toBeUndefined();
  expect(await listedServices(["db.service", "dump.service"], async () => "")).toBeUndefined();
  expect(await listedServices([], silent)).toEqual([]);
});
