import { lstat, readdir, readFile } from "node:fs/promises";
import * as z from "zod";
import { refused, requireSafe, requireSafeWay } from "../hooks/trusted-path.ts";
import { insideFolder } from "../machine/inside-folder.ts";

/** Where the administrator of a target host puts keys: in a folder for each source, named by its id. */
export const DISK_KEYS_FOLDER = "/etc/causeway/disk-keys";

/** As `blkid` and `cryptsetup luksUUID` print it. */
const LuksUuid = z.string().regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);

/** Longer ones are other files. */
const MOST_KEY_BYTES = 8192;
const OTHERS_READ = 0o077;

/** What unlocks an encrypted volume. */
export interface DiskKey {
  /** Of the LUKS volume. */
  uuid: string;
  /** A passphrase without an end of line, or the content of a key file. */
  key: Buffer;
}

/** As a guest gets them; absent without keys, as in boot images from before there were any. */
export const SentKeys = z
  .array(z.strictObject({ uuid: LuksUuid, key: z.base64().max(16_384) }))
  .max(64)
  .optional();
export type SentKeys = z.infer<typeof SentKeys>;

/** The most that `cryptsetup` chooses for deriving a key; a guest that gets any needs as much more. */
export const KEY_MEMORY_MIB = 1024;

export function sentKeys(keys: readonly DiskKey[]): { keys?: SentKeys } {
  if (keys.length === 0) return {};
  return { keys: keys.map(({ uuid, key }) => ({ uuid, key: key.toString("base64") })) };
}

export function receivedKeys(keys: SentKeys = []): DiskKey[] {
  return keys.map(({ uuid, key }) => ({ uuid, key: Buffer.from(key, "base64") }));
}

/**
 * The keys for the volumes of one source: no other source's system gets to see them. None if it has no
 * folder. Throws `UntrustedFolderError` for what is no key, or that others than root can read or write.
 */
export async function diskKeysOf(folder: string, sourceId: string): Promise<DiskKey[]> {
  const own = insideFolder(folder, sourceId);
  const names = await readdir(own).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (names === undefined) return [];
  await requireSafeWay(own);
  const keys: DiskKey[] = [];
  for (const uuid of names.sort()) {
    const path = insideFolder(own, uuid);
    await requireSafe(path, "file");
    const { mode, size } = await lstat(path);
    if ((mode & OTHERS_READ) !== 0)
      throw refused(path, "users other than root may read it", `Let only root read it: chmod 0400 ${path}`);
    if (!LuksUuid.safeParse(uuid).success || size === 0 || size > MOST_KEY_BYTES)
      throw refused(path, "it is no key", `Name a key by the UUID of its LUKS volume, or remove ${path}.`);
    keys.push({ uuid, key: await readFile(path) });
  }
  return keys;
}
