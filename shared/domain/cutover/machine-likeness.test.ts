import { expect, test } from "vitest";
import { aRecovery } from "../testing/records.ts";
import { machineDifferences } from "./machine-likeness.ts";

const { hypervisor, shape } = aRecovery().planned;
const planned = { hypervisor, shape };
const withShape = (change: Partial<typeof shape>) => ({ hypervisor, shape: { ...shape, ...change } });

test("a machine with other cards and up to twice the processors and memory is alike", () => {
  const other = withShape({ cpuCount: 2 * shape.cpuCount, memoryMiB: shape.memoryMiB / 2, cards: [] });
  expect(machineDifferences(other, planned)).toEqual([]);
});

test("each difference that changes how long a machine takes is named", () => {
  const other = withShape({
    ...{ cpuCount: 5, memoryMiB: 128, firmware: "uefi", diskBus: "ide", acceleration: "software" },
  });
  expect(machineDifferences({ ...other, hypervisor: "qemu" }, planned)).toEqual([
    ...["hypervisor", "firmware", "disk bus", "acceleration", "number of processors", "memory"],
  ]);
});
