import { randomUUID } from "node:crypto";
import { access, link, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join, posix } from "node:path";
import {
  type BootImageFile,
  GUEST_KERNEL_FILE,
  MANIFEST_FILE,
  NETWORK_SCRIPTS_FILE,
} from "#shared/protocol/boot-image.ts";
import { BootImageBuildError } from "../boot-image/errors.ts";
import { encodeManifest, type FullManifest, imageId } from "../boot-image/manifest.ts";
import { hashFile, SIGNATURE_FILE, signingKey, signManifest } from "../boot-image/signature.ts";
import { writeUnifiedKernelImage } from "../boot-image/unified-kernel-image.ts";
import { bundleAgent } from "./agent-bundle.ts";
import { compressed, writeInitrd } from "./initrd.ts";
import { writeIso } from "./iso.ts";
import { uncompressedKernel } from "./kernel-payload.ts";
import { readNetworkScripts } from "./network-scripts.ts";
import { PackageCache, type PackageVersion } from "./package-cache.ts";
import { FORM_PACKAGES, IMAGE_PACKAGES, KERNEL_PACKAGE } from "./packages.ts";
import { agentPart, systemPart } from "./rootfs.ts";
import { Sysroot } from "./sysroot.ts";

/**
 * Serial port and screen get all output; a panic or an oops restarts the machine after ten seconds. The RAM
 * disk may use more than half of the memory, its usual limit.
 */
export const COMMAND_LINE =
  "console=ttyS0,115200 console=tty0 loglevel=4 panic=10 oops=panic rootfstype=ramfs";
/** A person is at a machine that starts from a CD or the network: it waits for approval without limit. */
const ATTENDED = `${COMMAND_LINE} causeway.deadline=0`;
const MEMORY_MIB = 1024;
const MOST_BYTES = 120 * 2 ** 20;

export interface BuildOptions {
  /** The agent's entry point: a TypeScript file. */
  entry: string;
  /** The root of the repository. */
  root: string;
  version: string;
  /** The Node executable that goes into the image. */
  nodePath: string;
  nodeVersion: string;
  /** Keeps packages between builds. */
  cacheDir: string;
  /** The image is written to a folder in here that is named by its id. */
  outDir: string;
  /** Holds the signing key; created if missing. */
  keyDir: string;
  mirror: string;
  securityMirror: string;
  /** Exactly these packages, from an earlier image's manifest; by default the newest. */
  packages?: readonly PackageVersion[] | undefined;
  /** Laid out like `/lib/firmware`; the image gets all of it. */
  firmwareDir?: string | undefined;
  /**
   * The control plane for machines that start from the CD or over the network; if absent, their screens ask
   * for it.
   */
  controlPlaneUrl?: string | undefined;
  /** The modification time of the image's files. */
  sourceDateEpoch: number;
  log: (line: string) => void;
}

export interface BuiltImage {
  id: string;
  dir: string;
  manifest: FullManifest;
}

/**
 * Builds, signs and stores a boot image. The same packages, agent and options give the same id and the same
 * bytes. Installs nothing on this machine and does not need root. Throws `BootImageBuildError` if the inputs
 * do not fit together or the result is too large.
 */
export async function buildBootImage(options: BuildOptions): Promise<BuiltImage> {
  const { outDir, log } = options;
  const key = await signingKey(options.keyDir);
  await mkdir(outDir, { recursive: true });
  const work = join(outDir, `.partial-${randomUUID()}`);
  const image = join(work, "image");
  await mkdir(join(image, "pxe"), { recursive: true });
  try {
    const packages = await fetchPackages(options);
    log(`unpacking ${packages.list.length} packages`);
    const sysroot = await Sysroot.unpack(packages.cache, packages.list, join(options.cacheDir, "sysroots"));
    const contents = await writeForms(sysroot, { ...options, work, image });
    const manifest: FullManifest = {
      format: 1,
      architecture: "x86_64",
      causewayVersion: options.version,
      nodeVersion: options.nodeVersion,
      kernelRelease: await sysroot.kernelRelease(),
      commandLine: COMMAND_LINE,
      memoryMiB: MEMORY_MIB,
      system: "linux",
      // No machine's firmware has our key, and Debian's signature covers only the kernel, not the unified
      // kernel image around it.
      secureBootSigned: false,
      sourceDateEpoch: options.sourceDateEpoch,
      packages: [...packages.list],
      ...contents,
      files: await listFiles(image),
    };
    const bytes = encodeManifest(manifest);
    await writeFile(join(image, MANIFEST_FILE), bytes);
    await writeFile(join(image, SIGNATURE_FILE), signManifest(bytes, key));
    const dir = join(outDir, imageId(bytes));
    await replace(image, dir);
    return { id: imageId(bytes), dir, manifest };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function fetchPackages(
  options: BuildOptions,
): Promise<{ cache: PackageCache; list: readonly PackageVersion[] }> {
  const { cacheDir, mirror, securityMirror, log } = options;
  const cache = new PackageCache({ dir: cacheDir, mirror, securityMirror });
  if (options.packages) {
    await cache.fetchExactly(options.packages);
    return { cache, list: options.packages };
  }
  log(`fetching Debian packages from ${mirror}`);
  await cache.update();
  const kernel = await cache.dependencyOf(KERNEL_PACKAGE);
  return { cache, list: await cache.fetchNewest([kernel, ...IMAGE_PACKAGES, ...FORM_PACKAGES]) };
}

async function writeForms(
  sysroot: Sysroot,
  options: BuildOptions & { work: string; image: string },
): Promise<Pick<FullManifest, "drivers" | "programs" | "firmware">> {
  const { work, image, sourceDateEpoch, log } = options;
  log("bundling the agent");
  const node = await strippedNode(sysroot, options.nodePath, work);
  const scripts = await bundleAgent(options);
  log("collecting drivers and programs");
  const { entries, drivers, programs, firmware } = await systemPart(sysroot, {
    firmwareDir: options.firmwareDir,
    libraryUsers: [node],
  });
  log("compressing the initial RAM disk");
  const initrd = await writeInitrd([entries, agentPart({ node, scripts })], sourceDateEpoch);
  const release = await sysroot.kernelRelease();
  const kernel = await sysroot.read(`/boot/vmlinuz-${release}`);
  if (kernel.length + initrd.length > MOST_BYTES) {
    throw new BootImageBuildError(
      `kernel and RAM disk have ${kernel.length + initrd.length} bytes, more than ${MOST_BYTES}`,
    );
  }
  await writeFile(join(image, "vmlinuz"), kernel);
  await writeFile(join(image, "initrd.zst"), initrd);
  await writeFile(join(image, GUEST_KERNEL_FILE), await compressed(await uncompressedKernel(kernel)));
  log("writing the unified kernel image, the CD image and the PXE folder");
  const stub = await sysroot.read("/usr/lib/systemd/boot/efi/linuxx64.efi.stub");
  const osRelease = `NAME="Causeway boot environment"\nID=causeway\nVERSION_ID=${options.version}\n`;
  await writeFile(
    join(image, "causeway.efi"),
    writeUnifiedKernelImage({ stub, kernel, initrd, commandLine: COMMAND_LINE, osRelease }),
  );
  const attended = attendedCommandLine(options.controlPlaneUrl);
  const { sha256: mark } = await hashFile(join(image, "initrd.zst"));
  await writeIso({
    sysroot,
    workDir: join(work, "iso"),
    kernel,
    initrd,
    commandLine: attended,
    mark: mark.slice(0, 16),
    sourceDateEpoch,
    output: join(image, "causeway.iso"),
  });
  await writePxeFolder(sysroot, image, attended);
  await writeFile(join(image, NETWORK_SCRIPTS_FILE), JSON.stringify(await readNetworkScripts()));
  return { drivers, programs, firmware };
}

/** Debugging symbols are a seventh of the executable; nothing else is changed. */
async function strippedNode(sysroot: Sysroot, nodePath: string, work: string): Promise<Buffer> {
  const output = join(work, "node");
  await sysroot.run("/usr/bin/x86_64-linux-gnu-strip", ["-o", output, nodePath]);
  return readFile(output);
}

/**
 * The files for a TFTP or web server: iPXE for either firmware, and the script that iPXE must be pointed to.
 */
async function writePxeFolder(sysroot: Sysroot, image: string, commandLine: string): Promise<void> {
  const pxe = join(image, "pxe");
  await link(join(image, "vmlinuz"), join(pxe, "vmlinuz"));
  await link(join(image, "initrd.zst"), join(pxe, "initrd.zst"));
  await writeFile(join(pxe, "undionly.kpxe"), await sysroot.read("/usr/lib/ipxe/undionly.kpxe"));
  await writeFile(join(pxe, "ipxe.efi"), await sysroot.read("/usr/lib/ipxe/ipxe.efi"));
  await writeFile(join(pxe, "boot.ipxe"), ipxeScript(commandLine));
}

function attendedCommandLine(controlPlaneUrl: string | undefined): string {
  return controlPlaneUrl === undefined ? ATTENDED : `${ATTENDED} causeway.url=${controlPlaneUrl}`;
}

/**
 * Paths are relative to the script's own address. UEFI kernels find the RAM disk by the name that iPXE gave
 * it. A script that chains to this one can `set causeway-url` first, which overrides an address in the
 * command line.
 */
export function ipxeScript(commandLine: string): string {
  return [
    "#!ipxe",
    "echo Causeway: loading the boot environment",
    // An empty command after the bars: without an address the script continues.
    `isset ${variable("causeway-url")} && set causeway-option causeway.url=${variable("causeway-url")} ||`,
    `kernel vmlinuz initrd=initrd.zst ${commandLine} ${variable("causeway-option")} || goto failed`,
    "initrd initrd.zst || goto failed",
    "boot || goto failed",
    ":failed",
    "echo The boot environment could not be loaded. This computer starts its own system in 10 seconds.",
    "sleep 10",
    "exit 1",
    "",
  ].join("\n");
}

const variable = (name: string): string => `\${${name}}`;

async function listFiles(dir: string): Promise<BootImageFile[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile())
    .map((entry) => posix.join(entry.parentPath.slice(dir.length + 1), entry.name))
    .sort();
  return Promise.all(paths.map(async (path) => ({ path, ...(await hashFile(join(dir, path))) })));
}

/** An image with the same id has the same bytes, unless somebody changed them: the new one replaces it. */
async function replace(from: string, to: string): Promise<void> {
  const present = await access(to).then(
    () => true,
    () => false,
  );
  if (present) await rename(to, `${from}.old`);
  await rename(from, to);
}
