/** Recovery points of a machine that restarts between two runs, during one, and during its freeze. */
import { existsSync } from "node:fs";
import { readFile, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { tool, toolOutput } from "../../filesystems/testing/test-image.ts";
import { FAULTY_PROGRAM, whyUntestable } from "../../tracking/testing/tracked-disk.ts";
import { LiveMachine } from "../testing/live-machine.ts";

const reason = whyUntestable();
const EARLIER_BOOT = "11111111-2222-4333-8444-555555555555";

function change({ disk }: LiveMachine, file: string): void {
  tool("sh", "-c", `head -c 300000 /dev/urandom > ${disk.mountPoint}/${file}; sync -f ${disk.mountPoint}`);
}

/**
 * What a restart leaves: the agent's folder, which has another boot's id, and the disk, to which the system
 * writes before it is tracked again.
 */
async function restart(machine: LiveMachine): Promise<void> {
  const { device, mountPoint, tracker, pinFolder } = machine.disk;
  await tracker.detach();
  await rmdir(pinFolder);
  const path = join(machine.deps.dataDir, "tracked-bases.json");
  const bases = await readFile(path, "utf8").catch(() => "");
  await writeFile(path, bases.replaceAll(bootId(), EARLIER_BOOT));
  // As after a power cut: the kernel replays the journal.
  tool("umount", mountPoint);
  tool("mount", device, mountPoint);
  change(machine, "while-untracked");
}

function bootId(): string {
  return tool("cat", "/proc/sys/kernel/random/boot_id").trim();
}

/** The helper that has frozen the disk, and its watchdog. */
function freezers({ disk: { pinFolder } }: LiveMachine): number[] {
  const command = `^${FAULTY_PROGRAM} freeze-read --pins ${pinFolder} `;
  return tool("pgrep", "--full", command).trim().split("\n").map(Number);
}

/** A point that is taken after a restart is whole; and the next one is tracked again. */
async function requireScan(machine: LiveMachine, [first, second]: readonly [string, string]): Promise<void> {
  const { disks } = await machine.take(first);
  expect(disks).toMatchObject([
    {
      ...{ mode: "hash-scan", modeReason: "the machine was restarted" },
      ...{ consistency: "file-system", trackerDisagreements: 0 },
    },
  ]);
  expect((await machine.restored(first)).equals(await machine.frozen()), first).toBe(true);
  expect(await machine.faultsOf(await machine.restored(first))).toBe("");
  change(machine, "while-tracked");
  expect((await machine.take(second)).disks).toMatchObject([{ mode: "tracked" }]);
  expect((await machine.restored(second)).equals(await machine.frozen()), second).toBe(true);
}

describe.skipIf(reason !== undefined)(`a machine ${reason ? `(${reason})` : ""}`, () => {
  test("that restarts between two runs is scanned once", async () => {
    await using machine = await LiveMachine.start({ sizeMiB: 8 });
    await machine.take("rp_1");
    await restart(machine);
    await requireScan(machine, ["rp_2", "rp_3"]);
  });

  test.each([
    ["the same command continues", "rp_2"],
    ["the next run", "rp_3"],
  ])(
    "that restarts while a pack is stored is scanned by %s, and no half of a point is there",
    async (_, pointId) => {
      await using machine = await LiveMachine.start({ sizeMiB: 8 });
      await machine.take("rp_1");
      const stop = new AbortController();
      change(machine, "before-the-cut");
      machine.store.around = async ({ operation, key }, work) => {
        const result = await work();
        // It is stored, but the agent does not hear of it.
        if (operation === "put" && key.includes("/packs/")) stop.abort();
        stop.signal.throwIfAborted();
        return result;
      };
      await expect(machine.take("rp_2", { signal: stop.signal })).rejects.toThrow();
      machine.store.around = (_request, work) => work();
      expect(await machine.points()).toEqual(["rp_1"]);
      await restart(machine);
      await requireScan(machine, [pointId, "rp_4"]);
      expect(await machine.points()).toEqual(["rp_1", pointId, "rp_4"]);
    },
  );

  test("that restarts while it is frozen comes back, and is scanned", async () => {
    await using machine = await LiveMachine.start({ sizeMiB: 8 });
    const { device, mountPoint, image } = machine.disk;
    await machine.take("rp_1");
    change(machine, "before-the-cut");
    const [program, cut, mark] = ["tracker", "cut", "is-frozen"].map((name) => join(image, "..", name)) as [
      string,
      string,
      string,
    ];
    const usual = await readFile(program, "utf8");
    const witness = `dd if=${device} of=${cut} bs=1M iflag=direct status=none; touch ${mark}; exec sleep 5 <&- >&- 2>&-`;
    const frozen = `exec '${FAULTY_PROGRAM}' "$@" --witness '${witness}'`;
    await writeFile(
      program,
      `#!/bin/sh\nif [ "$1" = freeze-read ]; then ${frozen}; fi\nexec '${FAULTY_PROGRAM}' "$@"\n`,
    );
    const taking = machine.take("rp_2").catch((error: Error) => error.name);
    while (!existsSync(mark)) await wait(20);
    // A power cut ends the helper and its watchdog at once, and what they froze is not frozen after it.
    for (const pid of freezers(machine).reverse()) process.kill(pid, "SIGKILL");
    expect(await taking).toBe("TrackerFailedError");
    await writeFile(program, usual);
    expect(toolOutput("fsfreeze", "--unfreeze", mountPoint).status).toBe(0);
    expect(await machine.points()).toEqual(["rp_1"]);
    expect(await machine.faultsOf(await readFile(cut))).toBe("");
    await restart(machine);
    await requireScan(machine, ["rp_2", "rp_3"]);
  });
});
