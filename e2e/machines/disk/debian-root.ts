import { appendFile, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { run, runContained } from "./command.ts";

export const HOSTNAME = "debian-source";
export const ROOT_PASSWORD = "causeway";

/** The Debian releases for which disks can be built, by number. */
const RELEASES = { bullseye: 11, bookworm: 12, trixie: 13 } as const;
export type Suite = keyof typeof RELEASES;

/**
 * The minimum for a server: it boots on either firmware, has a network and a console, and can install GRUB on
 * itself.
 */
const PACKAGES = [
  "systemd-sysv",
  "udev",
  "dbus",
  "kmod",
  "linux-image-amd64",
  "initramfs-tools",
  "zstd",
  "ifupdown",
  "isc-dhcp-client",
  "iproute2",
  "procps",
  "e2fsprogs",
  "dosfstools",
  "grub-pc-bin",
  "grub-efi-amd64-bin",
  "grub2-common",
  "efibootmgr",
];

/**
 * Files of the root that are the same on both firmwares. `console=ttyS0` is last, so that systemd starts a
 * login on it.
 */
const FILES: Readonly<Record<string, string>> = {
  "etc/hostname": `${HOSTNAME}\n`,
  "etc/hosts": `127.0.0.1\tlocalhost\n127.0.1.1\t${HOSTNAME}\n`,
  // Fixed, so that the disk looks like one of a machine that has run before.
  "etc/machine-id": "6c0d3f0d5a0b4b7e9d2f4a1c8e7b6a59\n",
  "etc/network/interfaces": "auto lo\niface lo inet loopback\n\nallow-hotplug eth0\niface eth0 inet dhcp\n",
  "etc/default/grub": [
    "GRUB_DEFAULT=0",
    "GRUB_TIMEOUT=1",
    "GRUB_DISTRIBUTOR=Debian",
    'GRUB_CMDLINE_LINUX_DEFAULT=""',
    'GRUB_CMDLINE_LINUX="net.ifnames=0 console=tty0 console=ttyS0,115200"',
    "GRUB_TERMINAL=console",
    "",
  ].join("\n"),
};

/**
 * The parts of `/lib/modules/RELEASE/kernel` that are kept, because a virtual machine and its file systems
 * need them. The rest is two thirds of the whole system, and every test would read, store, write and compare
 * it.
 */
const KEPT_MODULES = [
  ...["arch/x86/crypto", "block", "crypto", "lib", "mm"],
  ...["fs/ext4", "fs/jbd2", "fs/mbcache.ko", "fs/fat", "fs/nls", "fs/efivarfs"],
  ...["net/802", "net/8021q", "net/core", "net/ipv6", "net/packet", "net/unix"],
  ...["drivers/acpi", "drivers/ata", "drivers/block", "drivers/cdrom", "drivers/char", "drivers/firmware"],
  ...["drivers/hid", "drivers/input", "drivers/md", "drivers/nvme", "drivers/scsi/s*.ko", "drivers/usb"],
  ...["drivers/scsi/virtio_scsi.ko", "drivers/virtio", "drivers/watchdog", "drivers/net/virtio_net.ko"],
  ...["drivers/net/*failover.ko", "drivers/net/bonding", "drivers/net/ethernet/intel/e1000*"],
  // The agent rehearses the boot environment's network on them.
  "drivers/net/veth.ko",
];
/** A server does not need these, and cloud providers' images do not have them either. */
const LEFT_OUT = ["usr/share/doc", "usr/share/man", "usr/share/locale"];

/** What a machine has besides the minimum. */
export interface Software {
  packages: readonly string[];
  /** Written after the packages are installed, by path from the root. Owned by root, readable by all. */
  files: Readonly<Record<string, string>>;
  /** Packages that debootstrap cannot configure. */
  later?: readonly string[];
  /** Parts of the kernel's modules that are kept besides the usual ones. */
  modules?: readonly string[];
}

/** Changes whenever the root would: the name of the cached tarball derives from it. */
export function rootRecipe(suite: Suite, software?: Software): string {
  return JSON.stringify({
    version: 1,
    SUITE: suite,
    PACKAGES,
    FILES,
    KEPT_MODULES,
    LEFT_OUT,
    ROOT_PASSWORD,
    ...(software ? { software } : {}),
  });
}

/** How a release's files in the cache begin: `debian-12`. */
export function releaseName(suite: Suite): string {
  return `debian-${RELEASES[suite]}`;
}

export interface RootOptions {
  suite: Suite;
  software?: Software | undefined;
  mirror: string;
  /** An empty folder to work in, on a file system that allows device nodes. */
  workDir: string;
  signal?: AbortSignal | undefined;
  log: (line: string) => void;
}

/**
 * Installs Debian into a folder and packs it as `tarball`. Takes about two minutes. `tarball` appears only
 * when it is complete.
 */
export async function buildRootTarball(tarball: string, options: RootOptions): Promise<void> {
  const root = join(options.workDir, "root");
  const { packages = [], later = [], files = {}, modules = [] } = options.software ?? {};
  options.log(`installing Debian ${options.suite} from ${options.mirror} (once; about two minutes)`);
  await runContained(
    "debootstrap",
    [
      "--variant=minbase",
      `--include=${[...PACKAGES, ...packages].join(",")}`,
      options.suite,
      root,
      options.mirror,
    ],
    options,
  );
  if (later.length > 0) await installInto(root, later, options.signal);
  await configure(root, [...KEPT_MODULES, ...modules], options.signal);
  for (const [path, content] of Object.entries(files)) {
    await mkdir(join(root, dirname(path)), { recursive: true });
    await writeFile(join(root, path), content);
  }
  options.log("packing the installed system for later builds");
  const partial = `${tarball}.${process.pid}.partial`;
  try {
    await run(
      "tar",
      ["--numeric-owner", "--xattrs", "--use-compress-program=zstd -3 -T0", "-cf", partial, "-C", root, "."],
      options,
    );
    await rename(partial, tarball);
  } finally {
    await rm(partial, { force: true });
    await rm(root, { recursive: true, force: true });
  }
}

/** Has apt of an unpacked root install packages. Needs the Debian mirror that the root is from. */
export async function installInto(
  root: string,
  packages: readonly string[],
  signal?: AbortSignal,
): Promise<void> {
  const resolver = join(root, "etc/resolv.conf");
  const before = await readFile(resolver).catch(() => undefined);
  await writeFile(resolver, await readFile("/etc/resolv.conf"));
  const words = `apt-get -qq update && apt-get -qq install -y --no-install-recommends ${packages.join(" ")}`;
  const script = `mount -t proc proc ${root}/proc && chroot ${root} sh -c "${words} && apt-get clean"`;
  await runContained("sh", ["-c", script], { signal });
  await rm(join(root, "var/lib/apt/lists"), { recursive: true, force: true });
  await mkdir(join(root, "var/lib/apt/lists/partial"), { recursive: true });
  if (before === undefined) await rm(resolver);
  else await writeFile(resolver, before);
}

/** Unpacks a root made by `buildRootTarball` into a new folder. */
export async function unpackRoot(
  tarball: string,
  root: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  await mkdir(root);
  await run("tar", ["--numeric-owner", "--xattrs", "--zstd", "-xpf", tarball, "-C", root], { signal });
}

async function configure(
  root: string,
  keptModules: readonly string[],
  signal: AbortSignal | undefined,
): Promise<void> {
  for (const [path, content] of Object.entries(FILES)) await writeFile(join(root, path), content);
  await appendFile(join(root, "etc/issue"), "\n");
  await runContained("chroot", [root, "chpasswd"], { input: `root:${ROOT_PASSWORD}\n`, signal });
  await runContained("chroot", [root, "systemctl", "enable", "getty@tty1.service"], { signal });
  await runContained("chroot", [root, "apt-get", "clean"], { signal });
  await slim(root, keptModules, signal);
  await rm(join(root, "var/lib/apt/lists"), { recursive: true, force: true });
  await mkdir(join(root, "var/lib/apt/lists/partial"), { recursive: true });
  await mkdir(join(root, "boot/efi"), { recursive: true });
}

async function slim(
  root: string,
  keptModules: readonly string[],
  signal: AbortSignal | undefined,
): Promise<void> {
  for (const folder of LEFT_OUT) await rm(join(root, folder), { recursive: true });
  const modules = join(root, "usr/lib/modules");
  const [release = ""] = await readdir(modules);
  const kernel = join(modules, release, "kernel");
  // Debian 13 compresses each module: `virtio_scsi.ko.xz`.
  const kept = keptModules.flatMap((part) =>
    [part, `${part}.*`, `${part}/*`].flatMap((pattern) => ["!", "-path", `${kernel}/${pattern}`]),
  );
  await run("find", [kernel, "-type", "f", ...kept, "-delete"], { signal });
  await run("find", [kernel, "-type", "d", "-empty", "-delete"], { signal });
  await runContained("chroot", [root, "depmod", release], { signal });
  await runContained("chroot", [root, "update-initramfs", "-u", "-k", release], { signal });
}
