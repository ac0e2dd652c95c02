import { expect, test } from "vitest";
import { sourceOf } from "#shared/domain/agent.ts";
import { aDisk, anInventory, aSource } from "#shared/domain/testing/records.ts";
import { agentTable } from "./agent-list.ts";

test("each problem of an inventory is a line below the table, with its machine and its disk", () => {
  const inventory = anInventory({
    disks: [aDisk("vda", { problems: ["the GPT and its backup differ"] }), aDisk("vdb")],
    problems: ["12 of 140 disks\nagt_forged  connected"],
  });
  const source = sourceOf(aSource({ inventory }));
  const lines = agentTable([source, { ...source, id: "agt_sound", inventory: anInventory() }], "none").split(
    "\n",
  );
  expect(lines.slice(3)).toEqual([
    "",
    `${source.id}: 12 of 140 disks agt_forged  connected`,
    `${source.id}: disk vda: the GPT and its backup differ`,
  ]);
});

test("the reason why a disk cannot be read is shown once", () => {
  const inventory = anInventory({
    disks: [aDisk("vda", { unreadable: "no right", problems: ["no right"] })],
  });
  const source = sourceOf(aSource({ inventory }));
  expect(agentTable([source], "none").split("\n").slice(3)).toEqual([
    `${source.id}: disk vda: cannot be read: no right`,
  ]);
});

test("if every inventory is complete, only the table is shown", () => {
  expect(agentTable([sourceOf(aSource())], "none").split("\n")).toHaveLength(2);
});

test("a column that is asked for is the last one", () => {
  const column = { heading: "FENCED SERVICES", of: ({ name }: { name: string }) => `${name}.service` };
  const [headings, row] = agentTable([sourceOf(aSource())], "none", column).split("\n");
  expect(headings).toMatch(/DISKS +FENCED SERVICES$/);
  expect(row).toMatch(/ pine\.service$/);
});

test("a disk that the kernel gives another name is shown with its path, in one line", () => {
  const disks = [aDisk("sda", { path: "/dev/sdb" }), aDisk("sdb", { path: "/dev/x\ny" }), aDisk("sdc")];
  const source = sourceOf(aSource({ inventory: anInventory({ disks }) }));
  const [, row] = agentTable([source], "none").split("\n");
  expect(row).toMatch(/sda \(\/dev\/sdb\) \d.*, sdb \(\/dev\/x y\) \d.*, sdc \d/);
});
