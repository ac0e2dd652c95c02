import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";

const PIECE_BYTES = 2 ** 20;

/**
 * The length of an open file, and its SHA-256 in lower-case hexadecimal. Leaves the file's position as it is.
 * Reads into one buffer: an agent returns each buffer of a stream to the kernel (docs/decisions/0013), which
 * takes longer than to hash it.
 */
export async function hashOpenFile(file: FileHandle): Promise<{ sizeBytes: number; sha256: string }> {
  const digest = createHash("sha256");
  const piece = Buffer.allocUnsafe(PIECE_BYTES);
  for (let sizeBytes = 0; ; ) {
    const { bytesRead } = await file.read(piece, 0, piece.length, sizeBytes);
    if (bytesRead === 0) return { sizeBytes, sha256: digest.digest("hex") };
    digest.update(piece.subarray(0, bytesRead));
    sizeBytes += bytesRead;
  }
}
