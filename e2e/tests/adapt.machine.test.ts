/**
 * A system that is bound to its hardware is adapted to other hardware, and really started there: another
 * controller for its disks, another network card.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { applyToClone, computeOnClone } from "#agent/adapt/adapt-clone.ts";
import type { AdaptationRecord } from "#agent/adapt/adaptation-record.ts";
import { FileHashes } from "#agent/machine/file-hashes.ts";
import type { WantedMachine } from "#shared/protocol/wanted-machine.ts";
import { BOUND_PORT } from "../machines/bound-system.ts";
import { cachedBootImage } from "../machines/cold-site.ts";
import { copyDisk } from "../machines/disk/copy-disk.ts";
import { buildDebianDisk } from "../machines/disk/debian-disk.ts";
import { cacheDir } from "../machines/machine-site.ts";
import { startOnHardware } from "../machines/start-on-hardware.ts";
import { bindToHardware } from "../testing/bound-disk.ts";

const NEW_ADDRESS = "52:54:00:12:34:56";
const WANTED: WantedMachine = {
  ...{ diskBus: "virtio", firmware: "bios", cardModel: "virtio" },
  cards: [{ address: NEW_ADDRESS, replaces: { name: BOUND_PORT.name, address: BOUND_PORT.address } }],
  ...{ machineId: "new", hostKeys: "kept", purpose: "drill" },
};

let folder: string;
let original: string;
let image: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "causeway-adapt-"));
  original = join(folder, "original.raw");
  const disk = await buildDebianDisk({ firmware: "bios", sizeBytes: 2 ** 31, cacheDir, log: console.log });
  await bindToHardware(disk, original);
  image = await cachedBootImage(console.log);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const clone = (path: string) => ({
  imageFolder: image,
  disks: [{ name: "sda", path, format: "raw" as const }],
  workDir: folder,
  contentsDir: join(folder, "contents"),
  onProgress: console.log,
});
const onVirtio = (path: string, serial: readonly string[], patterns: readonly RegExp[]) =>
  startOnHardware(
    [
      ...serial.flatMap((port) => ["-serial", port]),
      ...["-drive", `if=virtio,format=raw,snapshot=on,file=${path}`],
      ...["-netdev", "user,id=lan,restrict=on", "-device", `virtio-net-pci,netdev=lan,mac=${NEW_ADDRESS}`],
    ],
    patterns,
  );

test("a Debian 12 that only its old hardware can start is adapted, and starts on virtio with its network and without its cluster", async () => {
  const path = join(folder, "clone.raw");
  await copyDisk(original, path);
  const before = await new FileHashes().of(path);
  const startedAt = performance.now();
  const record = await computeOnClone(clone(path), WANTED);
  const computedAt = performance.now();
  expect(await new FileHashes().of(path)).toBe(before);
  console.log(shown(record));
  expect(record.changes.map((change) => change.path.replace(/(?<=initrd.img-|tools\/)6\..*/, "*"))).toEqual(
    expect.arrayContaining([
      ...["/boot/grub/grub.cfg", "/boot/initrd.img-*", "/etc/default/grub", "/etc/fstab", "/etc/machine-id"],
      ...["/etc/initramfs-tools/modules", "/etc/systemd/network/10-causeway-eno1.link"],
      "/etc/systemd/system/corosync.service.d/causeway-drill.conf",
    ]),
  );
  expect(record.notes).toEqual([]);

  expect(await applyToClone(clone(path), record)).toEqual({ stale: [] });
  console.log(
    `computed in ${seconds(computedAt - startedAt)}, applied in ${seconds(performance.now() - computedAt)}`,
  );
  const shownAtStart = await onVirtio(path, ["stdio"], [/REPORT [^\n]*\n/, /login: /]);
  expect(shownAtStart).toMatch(new RegExp(`REPORT .* ${BOUND_PORT.name} +inet ${BOUND_PORT.network}`));
  expect(shownAtStart).not.toContain("CLUSTER");

  await onVirtio(original, ["null", "stdio"], [/Gave up waiting for root file system device/]);
});

function shown({ changes, commands, notes }: AdaptationRecord): string {
  return [
    ...changes.flatMap(({ path, why, diff }) => [`--- ${path}: ${why.join("; ")}`, diff]),
    ...commands.map(({ command, seconds: took }) => `$ ${command} (${took} s)`),
    ...notes,
  ].join("\n");
}

const seconds = (ms: number) => `${Math.round(ms / 1000)} s`;
