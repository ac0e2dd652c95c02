import { posix } from "node:path";
import { type BootMachine, type FileAttributes, LocalBootMachine } from "./boot-machine.ts";

/**
 * The name of the file's new content until it is complete. It is derived from the file's name, so that a
 * restore can find and remove it.
 */
export function draftOf(path: string): string {
  return posix.join(posix.dirname(path), `.${posix.basename(path)}.causeway-new`);
}

/** At every instant the file has its old content or the new one. Then sets its attributes, if given. */
export async function replaceFile(
  machine: BootMachine,
  path: string,
  bytes: Uint8Array,
  { mode, attributes }: { mode: number; attributes?: FileAttributes },
): Promise<void> {
  const draft = draftOf(path);
  await machine.create(draft, bytes, mode);
  if (attributes) await machine.setAttributes(draft, attributes);
  await machine.rename(draft, path);
}

/** `replaceFile` on the machine that this process runs on. */
export function replaceLocalFile(path: string, content: string | Uint8Array, mode: number): Promise<void> {
  return replaceFile(new LocalBootMachine(), path, Buffer.from(content), { mode });
}

/**
 * Removes a file. Overwrites a secret one first, because a copy of the whole disk also has the bytes of
 * deleted files.
 */
export async function eraseFile(machine: BootMachine, path: string, secret: boolean): Promise<void> {
  const status = await machine.status(path);
  if (!status) return;
  if (secret && status.kind === "file") await overwriteWithZeros(machine, path, status.sizeBytes);
  await machine.unlink(path);
}

const PIECE_BYTES = 4 * 2 ** 20;

async function overwriteWithZeros(machine: BootMachine, path: string, sizeBytes: number): Promise<void> {
  const zeros = Buffer.alloc(Math.min(PIECE_BYTES, sizeBytes));
  for (let offset = 0; offset < sizeBytes; offset += PIECE_BYTES) {
    await machine.overwrite(path, zeros.subarray(0, Math.min(PIECE_BYTES, sizeBytes - offset)), offset);
  }
}
