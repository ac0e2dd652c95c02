/** Whether what one machine took says how long another one takes. */
import type { HypervisorKind, MachineShape } from "../../protocol/defined-machine.ts";

interface Planned {
  hypervisor: HypervisorKind;
  shape: Pick<MachineShape, "cpuCount" | "memoryMiB" | "firmware" | "diskBus" | "acceleration">;
}

/** Up to this factor, processors and memory make a machine no other one. */
const ALIKE = 2;

/** What differs so much that `one` starts in another time than `other`, in words; empty if they are alike. */
export function machineDifferences(one: Planned, other: Planned): string[] {
  const [a, b] = [one.shape, other.shape];
  const kinds: [string, string, string][] = [
    ["hypervisor", one.hypervisor, other.hypervisor],
    ["firmware", a.firmware, b.firmware],
    ["disk bus", a.diskBus, b.diskBus],
    ["acceleration", a.acceleration, b.acceleration],
  ];
  const numbers: [string, number, number][] = [
    ["number of processors", a.cpuCount, b.cpuCount],
    ["memory", a.memoryMiB, b.memoryMiB],
  ];
  return [
    ...kinds.filter(([, x, y]) => x !== y).map(([name]) => name),
    ...numbers.filter(([, x, y]) => Math.max(x, y) > ALIKE * Math.min(x, y)).map(([name]) => name),
  ];
}
