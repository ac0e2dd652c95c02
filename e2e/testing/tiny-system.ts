/** A Linux that starts within seconds under emulation, and answers by HTTP for what a data disk has. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ArchiveEntry } from "#agent/boot-image/cpio.ts";
import { writeInitrd } from "#agent/boot-image-builder/initrd.ts";
import { moduleClosure } from "#agent/boot-image-builder/module-set.ts";
import { PackageCache } from "#agent/boot-image-builder/package-cache.ts";
import { FORM_PACKAGES, IMAGE_PACKAGES, KERNEL_PACKAGE } from "#agent/boot-image-builder/packages.ts";
import { Sysroot } from "#agent/boot-image-builder/sysroot.ts";
import { DEBIAN_MIRRORS } from "../machines/cold-site.ts";
import { run } from "../machines/disk/command.ts";
import { cacheDir } from "../machines/machine-site.ts";
import { makeGrubRig } from "./grub-rig.ts";

const SIZE_BYTES = 32 * 2 ** 20;
const MODULES = ["virtio_pci", "virtio_blk", "virtio_net", "ext4"];
/** What depmod wrote, for modprobe. */
const INDEX = ["modules.dep", "modules.alias", "modules.softdep", "modules.builtin"];
const EPOCH = 1_686_355_200;

/** What its console shows once it answers. */
export const TINY_SYSTEM_READY = "TINY SYSTEM READY";
/** The port at which it answers, as the service on its source did. */
export const TINY_SYSTEM_PORT = 7000;

/** It answers `machine NUMBER`, with the number in the file `counter` of the disk that has an ext4. */
const init = (address: string) => `#!/bin/busybox sh
/bin/busybox mkdir -p /sbin /usr/bin /usr/sbin /proc /sys /dev /data /www
/bin/busybox --install -s
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
for module in ${MODULES.join(" ")}; do modprobe $module; done
ip link set lo up
ip address add ${address}/24 dev eth0
ip link set eth0 up
for disk in vda vdb; do mount -t ext4 /dev/$disk /data && break; done
echo "machine $(cat /data/counter)" > /www/index.html
httpd -p ${TINY_SYSTEM_PORT} -h /www
echo "${TINY_SYSTEM_READY}" > /dev/ttyS0
while :; do sleep 3600; done
`;

const grubConfig = `set timeout=0
linux /boot/grub/vmlinuz console=ttyS0,115200 quiet panic=10
initrd /boot/grub/initrd
boot
`;

/** The disk with this system, which has `address` on its first card. Built once for each address. */
export async function tinySystem(address: string): Promise<string> {
  const key = createHash("sha256").update(init(address)).update(grubConfig).digest("hex").slice(0, 16);
  const disk = join(cacheDir, `tiny-system-${key}.raw`);
  if (existsSync(disk)) return disk;
  await mkdir(cacheDir, { recursive: true });
  const work = await mkdtemp(join(cacheDir, "partial-"));
  try {
    const sysroot = await unpacked();
    const release = await sysroot.kernelRelease();
    const rig = await makeGrubRig(work, "/usr/lib/grub/i386-pc", SIZE_BYTES);
    const files = {
      vmlinuz: await sysroot.read(`/boot/vmlinuz-${release}`),
      initrd: await writeInitrd([await entriesOf(sysroot, release, init(address))], EPOCH),
      "grub.cfg": grubConfig,
    };
    for (const [name, content] of Object.entries(files)) {
      await writeFile(join(work, name), content);
      await run("mcopy", ["-i", `${rig.disk}@@1M`, join(work, name), `::/boot/grub/${name}`]);
    }
    await rename(rig.disk, disk);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return disk;
}

/** The packages of a boot image, which have a kernel and busybox. */
async function unpacked(): Promise<Sysroot> {
  const dir = join(cacheDir, "boot-image");
  const cache = new PackageCache({ dir, ...DEBIAN_MIRRORS });
  await cache.update();
  const kernel = await cache.dependencyOf(KERNEL_PACKAGE);
  const list = await cache.fetchNewest([kernel, ...IMAGE_PACKAGES, ...FORM_PACKAGES]);
  return Sysroot.unpack(cache, list, join(dir, "sysroots"));
}

async function entriesOf(sysroot: Sysroot, release: string, program: string): Promise<ArchiveEntry[]> {
  const folder = `lib/modules/${release}`;
  const text = (name: string) => readFile(join(sysroot.dir, folder, name), "utf8");
  const modules = moduleClosure(MODULES, {
    ...{ dependencies: await text("modules.dep"), softDependencies: await text("modules.softdep") },
    ...{ aliases: await text("modules.alias"), builtin: await text("modules.builtin") },
  });
  const files = await Promise.all(
    [...modules, ...INDEX].map(async (name) =>
      file(`${folder}/${name}`, await sysroot.read(`/${folder}/${name}`)),
    ),
  );
  const own = [
    { ...file("init", Buffer.from(program)), mode: 0o755 },
    { ...file("bin/busybox", await sysroot.read("/bin/busybox")), mode: 0o755 },
  ];
  const entries: ArchiveEntry[] = [...files, ...own];
  const folders = new Set(entries.flatMap(({ path }) => foldersOf(path)));
  return [
    ...[...folders].map((path): ArchiveEntry => ({ kind: "directory", path, mode: 0o755 })),
    ...entries,
    { kind: "directory", path: "dev", mode: 0o755 },
    // The kernel opens the console before it mounts anything.
    { kind: "character-device", path: "dev/console", mode: 0o600, major: 5, minor: 1 },
  ];
}

function file(path: string, data: Uint8Array) {
  return { kind: "file", path, mode: 0o644, data } as const;
}

function foldersOf(path: string): string[] {
  const names = path.split("/").slice(0, -1);
  return names.map((_, index) => names.slice(0, index + 1).join("/"));
}
