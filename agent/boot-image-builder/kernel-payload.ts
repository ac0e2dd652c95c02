import { spawn } from "node:child_process";
import { buffer, text } from "node:stream/consumers";
import { zstdDecompressSync } from "node:zlib";
import { ToolMissingError } from "#shared/errors.ts";
import { BootImageBuildError } from "../boot-image/errors.ts";

/** Fields of a Linux kernel's header: Documentation/arch/x86/boot.rst. */
const SETUP_SECTORS = 0x1f1;
const MAGIC = 0x202;
const PAYLOAD_OFFSET = 0x248;
const PAYLOAD_LENGTH = 0x24c;
const SECTOR_BYTES = 512;

/** In hexadecimal, how each begins. */
const XZ = "fd377a585a00";
const ZSTD = "28b52ffd";
/** A note of 8 bytes by "Xen": where QEMU starts an executable. Of type 18, `XEN_ELFNOTE_PHYS32_ENTRY`. */
const START_NOTE = Buffer.from("04000000080000001200000058656e00", "hex");
/** The length of the result follows what is compressed. */
const LENGTH_BYTES = 4;

/**
 * The ELF executable in a kernel that unpacks itself, which takes seconds under emulation. Throws
 * `BootImageBuildError` if it is compressed in another way than Debian's kernels are, or has no entry
 * for QEMU, and `ToolMissingError`.
 */
export async function uncompressedKernel(kernel: Buffer): Promise<Buffer> {
  if (kernel.toString("latin1", MAGIC, MAGIC + 4) !== "HdrS")
    throw new BootImageBuildError("the kernel has no header of a Linux kernel for x86");
  const start = ((kernel[SETUP_SECTORS] ?? 0) + 1) * SECTOR_BYTES + kernel.readUInt32LE(PAYLOAD_OFFSET);
  const payload = kernel.subarray(start, start + kernel.readUInt32LE(PAYLOAD_LENGTH) - LENGTH_BYTES);
  const executable = await uncompressed(payload);
  if (executable?.toString("latin1", 1, 4) !== "ELF")
    throw new BootImageBuildError("the kernel is compressed in a way that this builder does not know");
  if (!executable.includes(START_NOTE))
    throw new BootImageBuildError("QEMU cannot start the kernel as an executable: it has no entry for that");
  return executable;
}

async function uncompressed(payload: Buffer): Promise<Buffer | undefined> {
  const start = payload.toString("hex", 0, 6);
  if (start === XZ) return unxz(payload);
  return start.startsWith(ZSTD) ? zstdDecompressSync(payload) : undefined;
}

async function unxz(payload: Buffer): Promise<Buffer> {
  const xz = spawn("xz", ["--decompress", "--stdout"], { stdio: ["pipe", "pipe", "pipe"] });
  const { promise: ended, resolve, reject } = Promise.withResolvers<number | null>();
  xz.once("error", () => reject(new ToolMissingError("xz", "xz-utils")));
  xz.once("close", resolve);
  // If it ends early, its status says so.
  xz.stdin.on("error", () => undefined);
  xz.stdin.end(payload);
  const [status, output, complaint] = await Promise.all([ended, buffer(xz.stdout), text(xz.stderr)]);
  if (status !== 0) throw new BootImageBuildError(`the kernel cannot be unpacked: ${complaint.trim()}`);
  return output;
}
