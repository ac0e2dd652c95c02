import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { applyToClone, computeOnClone } from "#agent/adapt/adapt-clone.ts";
import { SavedStarts } from "#agent/browse/saved-starts.ts";
import { jsonLog } from "#shared/log.ts";
import { BOUND_MACHINES, type BoundMachine, buildBoundMachine } from "../e2e/machines/bound-machines.ts";
import { BOUND_PORT } from "../e2e/machines/bound-system.ts";
import { cachedBootImage } from "../e2e/machines/cold-site.ts";
import { copyDisk } from "../e2e/machines/disk/copy-disk.ts";
import { LUKS_PASSPHRASE, LUKS_UUID } from "../e2e/machines/disk/layered-disks.ts";
import { cloneDisksOf, cloneKeysOf, startMoved, wantedOf } from "../e2e/machines/moved-machine.ts";
import { runProcess } from "./run-process.ts";

/** How a tool moved one machine. */
export interface Moved {
  /** Until the result is on the disk. */
  seconds: number;
  /** What the result shows once it has started; or that it does not start. */
  result: "starts, with its address" | "starts, without its address" | "does not start";
}

export interface AdaptationRun {
  machine: string;
  ours: Moved & { cloneSeconds: number; computeSeconds: number; applySeconds: number };
  /** Or why it refuses. */
  theirs: Moved | { refusal: string };
}

const SETUP = join(import.meta.dirname, "../scripts/setup.mjs");
const APPLIANCE_PARTS = "/usr/lib/x86_64-linux-gnu/guestfs/supermin.d";
/** Where libguestfs looks for what it builds as root. */
const LIBGUESTFS_CACHE = "/var/tmp/.guestfs-0";
/** In software, as ours. */
const LIBGUESTFS = { LIBGUESTFS_BACKEND: "direct", LIBGUESTFS_BACKEND_SETTINGS: "force_tcg" };

/**
 * Clones and adapts machines that are bound to their hardware, beside `virt-v2v` on the same disks, in turns.
 * Both run in software emulation, and both results are started. `names`: a part of each machine's name.
 */
export async function measureAdaptation(cache: string, names: readonly string[]): Promise<AdaptationRun[]> {
  await runProcess(process.execPath, [SETUP, "virt-v2v"]);
  await buildAppliance();
  const image = await cachedBootImage(console.error);
  const log = jsonLog({ write: (line) => process.stderr.write(line), now: Date.now });
  // As on a target host: the first guest makes one, and that counts.
  const starts = join(cache, "guest-starts");
  await rm(starts, { recursive: true, force: true });
  const savedStarts = new SavedStarts({ folder: starts, log });
  const chosen = BOUND_MACHINES.filter(
    ({ name }) => names.length === 0 || names.some((one) => name.includes(one)),
  );
  const runs: AdaptationRun[] = [];
  for (const machine of chosen) {
    const folder = await mkdtemp(join(cache, "adaptation-"));
    try {
      const originals = await buildBoundMachine(machine, console.error);
      console.error(`${machine.name}: ours`);
      const ours = await moveWithOurs(machine, originals, { image, folder, savedStarts });
      console.error(`${machine.name}: ${ours.seconds.toFixed(1)} s, then virt-v2v`);
      const theirs = await moveWithTheirs(machine, originals, folder);
      const outcome = "refusal" in theirs ? `refuses: ${theirs.refusal}` : theirs.result;
      console.error(`${machine.name}: ours ${ours.result}, virt-v2v's ${outcome}`);
      runs.push({ machine: machine.name, ours, theirs });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }
  return runs;
}

/** The kernel and the disk of libguestfs's guest, which its first run would build otherwise. */
async function buildAppliance(): Promise<void> {
  await mkdir(LIBGUESTFS_CACHE, { recursive: true });
  await runProcess("supermin", [
    ...["--build", "--if-newer", "--lock", `${LIBGUESTFS_CACHE}/lock`, "--copy-kernel", "-f", "ext2"],
    ...["--host-cpu", "x86_64", APPLIANCE_PARTS, "-o", `${LIBGUESTFS_CACHE}/appliance.d`],
  ]);
}

async function moveWithOurs(
  machine: BoundMachine,
  originals: readonly string[],
  { image, folder, savedStarts }: { image: string; folder: string; savedStarts: SavedStarts },
): Promise<AdaptationRun["ours"]> {
  const paths = originals.map((_, at) => join(folder, `ours-${at}.raw`));
  const times = [performance.now()];
  for (const [at, original] of originals.entries()) await copyDisk(original, paths[at] ?? "");
  times.push(performance.now());
  const clone = {
    ...{ imageFolder: image, disks: cloneDisksOf(paths), keys: cloneKeysOf(machine), workDir: folder },
    ...{ contentsDir: join(folder, "contents"), savedStarts },
  };
  const record = await computeOnClone(clone, wantedOf(machine));
  times.push(performance.now());
  await applyToClone(clone, record);
  await runProcess("sync", ["-d", ...paths]);
  times.push(performance.now());
  const [cloneSeconds = 0, computeSeconds = 0, applySeconds = 0] = times
    .slice(1)
    .map((at, index) => (at - (times[index] ?? 0)) / 1000);
  return {
    ...{ cloneSeconds, computeSeconds, applySeconds, seconds: cloneSeconds + computeSeconds + applySeconds },
    result: await resultOf(machine, paths),
  };
}

async function moveWithTheirs(
  machine: BoundMachine,
  originals: readonly string[],
  folder: string,
): Promise<AdaptationRun["theirs"]> {
  const domain = join(folder, "domain.xml");
  await writeFile(domain, domainOf(machine, originals));
  const key = machine.layout.layers.includes("luks") ? ["--key", `${LUKS_UUID}:key:${LUKS_PASSPHRASE}`] : [];
  const args = ["-i", "libvirtxml", domain, "-o", "local", "-os", folder, "-of", "raw", "-on", "theirs"];
  const run = await runProcess("virt-v2v", [...args, ...key], { env: LIBGUESTFS }).catch(
    (error: Error) => error,
  );
  if (run instanceof Error) return { refusal: refusalIn(run.message) };
  const paths = (await readdir(folder)).filter((name) => /^theirs-sd[a-z]$/.test(name)).sort();
  console.error(`${machine.name}: virt-v2v took ${run.wallSeconds.toFixed(1)} s`);
  const synced = await runProcess("sync", ["-d", ...paths.map((name) => join(folder, name))]);
  // It defines a machine with virtio-blk, whatever the disks were on.
  const result = await resultOf(
    { ...machine, diskBus: "virtio" },
    paths.map((name) => join(folder, name)),
  );
  return { seconds: run.wallSeconds + synced.wallSeconds, result };
}

/** A machine with its disks on SATA. Several disks need this form of input; one could be named alone. */
function domainOf({ layout: { firmware } }: BoundMachine, paths: readonly string[]): string {
  const disks = paths.map(
    (path, at) => `<disk type="file" device="disk"><driver name="qemu" type="raw"/>
  <source file="${path}"/><target dev="sd${"ab"[at]}" bus="sata"/></disk>`,
  );
  const type = `<type arch="x86_64" machine="q35">hvm</type>`;
  const loader = firmware === "uefi" ? `<os firmware="efi">${type}</os>` : `<os>${type}</os>`;
  return `<domain type="qemu"><name>theirs</name><memory unit="MiB">1024</memory><vcpu>2</vcpu>${loader}
<features><acpi/></features><devices>${disks.join("\n")}
<interface type="network"><mac address="${BOUND_PORT.address}"/><source network="default"/><model type="e1000"/></interface>
</devices></domain>
`;
}

function refusalIn(message: string): string {
  const [, refusal] = /virt-v2v: error: ([^\n]+)/.exec(message) ?? [];
  return refusal ?? message.trim().split("\n").at(-1) ?? "";
}

/** The system shows its address a minute and a half after its start at the latest, or that it has none. */
async function resultOf(
  machine: Pick<BoundMachine, "layout" | "diskBus">,
  paths: readonly string[],
): Promise<Moved["result"]> {
  const shown = await startMoved(machine, paths, [/REPORT [^\n]*\n/]).catch((error: Error) => {
    console.error(error.message);
    return undefined;
  });
  if (shown === undefined) return "does not start";
  return shown.includes(` inet ${BOUND_PORT.network}`)
    ? "starts, with its address"
    : "starts, without its address";
}

/** A line for each machine. */
export function formatAdaptation(runs: readonly AdaptationRun[]): string {
  const lines = runs.map(({ machine, ours, theirs }) => {
    const { seconds, cloneSeconds, computeSeconds, applySeconds, result } = ours;
    const parts = `clone ${cloneSeconds.toFixed(1)}, compute ${computeSeconds.toFixed(1)}, apply ${applySeconds.toFixed(1)}`;
    const beside =
      "refusal" in theirs
        ? `virt-v2v refuses: ${theirs.refusal}`
        : `virt-v2v ${theirs.seconds.toFixed(1)} s, ${theirs.result}; ours/theirs ${(seconds / theirs.seconds).toFixed(2)}`;
    return `${machine}: ours ${seconds.toFixed(1)} s (${parts}), ${result}; ${beside}`;
  });
  return ["adaptation beside virt-v2v", ...lines].join("\n");
}
