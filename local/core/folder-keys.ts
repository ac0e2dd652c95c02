import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import * as z from "zod";
import { FolderFileDamagedError, KeysMissingError } from "#shared/data-folder/errors.ts";
import { replaceOwnFile } from "#shared/data-folder/replace-own-file.ts";

/** A key file in a data directory, and the files that are useless without it. */
interface KeyFile {
  file: string;
  /** Files that are created only after the key file. If they exist and the key file does not, it was lost. */
  protects: readonly string[];
  what: string;
  /** Returns one fingerprint for each key in the file. Throws if the content is not a valid key file. */
  fingerprints(content: Buffer): string[];
}

const KmsKeys = z.object({
  keys: z.record(z.string(), z.array(z.object({ material: z.string().min(1) }))),
});

const KEY_FILES: readonly KeyFile[] = [
  {
    file: "kms/keys.json",
    protects: ["dynamodb", "s3"],
    what: "the keys of KMS",
    fingerprints: (content) =>
      Object.values(KmsKeys.parse(JSON.parse(content.toString())).keys)
        .flat()
        .map(({ material }) => sha256(material)),
  },
  {
    file: "iot/authority/authority-key.pem",
    protects: ["iot/registry.sqlite"],
    what: "the key of the authority that signs agents' certificates",
    fingerprints: (content) => {
      if (!/^-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(content.toString()))
        throw new Error("not a private key");
      return [sha256(content)];
    },
  },
];

/** A file beside the data that identifies the folder's keys. It contains no secrets. */
const RECORD = "keys-of-this-folder.json";
const Recorded = z.record(z.string(), z.array(z.string()));

/**
 * Checks, before anything is opened or created, that the keys needed to read the directory's data exist. New
 * keys would hide the loss and then mix with the old ones. Throws `KeysMissingError` or
 * `FolderFileDamagedError`. Never changes the directory.
 */
export function requireFolderKeys(directory: string): void {
  const recorded = readRecord(directory);
  const lost = KEY_FILES.filter(
    ({ file, protects }) =>
      !existsSync(join(directory, file)) &&
      (recorded[file] !== undefined || protects.some((data) => existsSync(join(directory, data)))),
  );
  if (lost.length > 0)
    throw new KeysMissingError(
      directory,
      lost.map(({ file }) => file),
      "missing",
    );
  const foreign = KEY_FILES.filter((keys) => {
    const present = fingerprintsIn(directory, keys);
    return (recorded[keys.file] ?? []).some((fingerprint) => !present.includes(fingerprint));
  });
  if (foreign.length > 0)
    throw new KeysMissingError(
      directory,
      foreign.map(({ file }) => file),
      "another folder's",
    );
}

/** Records the directory's current keys. Does not rewrite an equal record. */
export function recordFolderKeys(directory: string): void {
  const record = Object.fromEntries(KEY_FILES.map((keys) => [keys.file, fingerprintsIn(directory, keys)]));
  if (isDeepStrictEqual(record, readRecord(directory))) return;
  replaceOwnFile(join(directory, RECORD), `${JSON.stringify(record)}\n`);
}

function readRecord(directory: string): z.infer<typeof Recorded> {
  const file = join(directory, RECORD);
  if (!existsSync(file)) return {};
  return reading(file, "the list of this folder's keys", () =>
    Recorded.parse(JSON.parse(readFileSync(file, "utf8"))),
  );
}

function fingerprintsIn(directory: string, { file, what, fingerprints }: KeyFile): string[] {
  const path = join(directory, file);
  return existsSync(path) ? reading(path, what, () => fingerprints(readFileSync(path))) : [];
}

function reading<T>(file: string, what: string, read: () => T): T {
  try {
    return read();
  } catch {
    throw new FolderFileDamagedError(file, what, `Put ${file} back from a backup; nothing was changed.`);
  }
}

function sha256(data: string | Buffer): string {
  return createHash("sha256").update(data).digest("hex");
}
