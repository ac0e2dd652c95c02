import type { CommandKind } from "#shared/protocol/commands.ts";

/** A command as far as its answer depends on it. */
interface Answered {
  kind: string;
  disk?: string;
  input: Record<string, unknown>;
}

export const SHA = "a".repeat(64);

const captured = {
  ...{ bytesRead: 64, bytesStored: 32, badRanges: 0, consistency: "crash", wholeCopies: [], seconds: 1 },
  bottleneck: "read",
};

const machine = {
  ...{ hypervisor: "libvirt", name: "pine-1", uuid: "0b2f5c0a-7d61-8c3e-8f00-1a2b3c4d5e6f" },
  ...{ bootDisk: "vda", bootReason: "it is the only disk" },
};

const answers: Partial<Record<CommandKind, (command: Answered) => object>> = {
  "stage-boot-image": () => ({ adapter: "grub", bytesStaged: 1 }),
  "arm-boot": () => ({
    adapter: "grub",
    bootId: "boot-1",
    savedStateKey: "sources/agt_source/boot-states/cnv_1.json",
    savedStateSha256: SHA,
    items: [],
  }),
  "report-boot-state": () => ({ restored: true, bootId: "boot-2", items: [], addresses: [] }),
  "attest-boot-state": () => ({ receipt: {} }),
  "take-recovery-point": ({ input }) => ({
    pointId: input.pointId,
    disks: (input.disks as string[]).map((name) => ({
      ...{ name, sizeBytes: 64, ...captured, changedBytes: 64 },
      ...{ mode: "hash-scan", view: "still", viewReason: "nothing writes to it", trackerDisagreements: 0 },
    })),
    freezeMilliseconds: 0,
    requests: 5,
  }),
  "capture-disk": ({ disk }) => ({
    disk: { name: disk, sizeBytes: 64, mapRoot: `root of ${disk}` },
    ...captured,
  }),
  "commit-recovery-point": () => ({ pointId: "rp_1" }),
  materialise: ({ input }) => ({
    disks: (input.disks as { name: string }[]).map(({ name }) => ({
      name,
      path: `/images/${name}`,
      format: input.format,
      sizeBytes: 64,
    })),
    bytesWritten: 64,
    seconds: 1,
  }),
  "apply-to-standby": ({ input }) => ({
    ...{ pointId: input.pointId, disks: [{ name: "vda", sizeBytes: 64, path: "/s", method: "changes" }] },
    ...{ bytesWritten: 8, bytesZeroed: 0, bytesFetched: 8, bytesRead: 0 },
    ...{ leavesChecked: 0, leavesRepaired: 0, seconds: 1 },
  }),
  "clone-standby": ({ input }) => ({
    disks: (input.disks as { name: string; sizeBytes: number }[]).map((disk) => ({
      ...{ ...disk, path: `/clones/${disk.name}.raw`, format: "raw" },
    })),
    ...{ method: "reflink", bytesWritten: 0, seconds: 1 },
  }),
  "hash-files": ({ input }) => ({
    ...{ list: SHA, files: 2, bytes: 20, found: 3, foundAll: true, changed: 1, unreadable: 0 },
    ...{ leftOut: [], seconds: 1 },
    ...(input.frozenFrom === undefined ? { system: "boot-environment" } : {}),
  }),
  "compare-files": ({ input }) => ({
    ...{ equal: input.files, bytes: 20, moved: 0, different: 0, differences: [], unopened: [], seconds: 1 },
  }),
  "adapt-machine": ({ input }) => ({
    ...{ changes: [{ path: "/etc/fstab", why: ["a name"], diff: "" }], commands: [], notes: [] },
    ...{ stale: [], isApplied: !input.dryRun, computeSeconds: 1, applySeconds: 1 },
  }),
  "define-machine": () => ({ machine }),
  "connect-machine": () => ({ machine }),
  "bring-up-machine": () => ({ machine, answer: { seconds: 20, reason: "the login prompt appeared" } }),
  "power-machine": ({ input }) => ({ machine, power: input.power }),
  "remove-machine": () => ({ disksRemoved: true }),
  verify: () => ({ bytesVerified: 64, seconds: 1 }),
  "boot-check": () => ({ verdict: "booted", reason: "login prompt", seconds: 5 }),
};

/** What an agent answers to a command that succeeds; empty if tests need no more than that. */
export function agentAnswer(command: Answered): object {
  return answers[command.kind as CommandKind]?.(command) ?? {};
}
