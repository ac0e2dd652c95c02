import { type DiskSource, openDisk } from "../disk/disk-source.ts";

/** Opens all of these paths, or none. */
export async function openDisks(paths: readonly string[]): Promise<DiskSource[]> {
  const opened: DiskSource[] = [];
  try {
    for (const path of paths) opened.push(await openDisk(path));
    return opened;
  } catch (error) {
    await closeAll(opened);
    throw error;
  }
}

/** Closes all of them, even if one fails; then throws the first failure. */
export async function closeAll(all: readonly { close(): Promise<void> }[]): Promise<void> {
  const closed = await Promise.allSettled(all.map((one) => one.close()));
  const failed = closed.find((one) => one.status === "rejected");
  if (failed) throw failed.reason;
}

/** The function, called once however often the result is called. */
export function onlyOnce(close: () => Promise<void>): () => Promise<void> {
  let closing: Promise<void> | undefined;
  return () => {
    closing ??= close();
    return closing;
  };
}
