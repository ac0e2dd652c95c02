/** What the menu entry starts. Paths are from the root of the file system, as GRUB sees it. */
export interface GrubEntry {
  jobId: string;
  /** The file system with the kernel and the RAM disk. */
  fileSystemUuid: string;
  /** The GRUB modules for reading it, such as `part_gpt` and `ext2`. */
  modules: readonly string[];
  kernelPath: string;
  /** Loaded in this order. */
  initrdPaths: readonly string[];
  commandLine: string;
}

const OPENING = "# >>> Causeway: added for one start, taken away after it >>>";
const CLOSING = "# <<< Causeway <<<";
/** From one of our lines to the next, with no other opening line between them. */
const BLOCK = new RegExp(
  `^${OPENING}\\r?\\n(?:(?!# >>> Causeway|# <<< Causeway)[^\\n]*\\n)*${CLOSING}\\r?(?:\\n|$)`,
  "gm",
);

export function grubEntryId(jobId: string): string {
  return `causeway-${jobId}`;
}

/**
 * Every user may start the entry, even if GRUB otherwise asks for a password, because no person is there to
 * type it. For the same reason it restarts the machine if the image cannot be loaded: GRUB would show its
 * menu and wait for a key without end. By then the next start is the original system's.
 */
export function formatGrubEntry(entry: GrubEntry): string {
  const { jobId, fileSystemUuid, modules, kernelPath, initrdPaths, commandLine } = entry;
  const words = [kernelPath, ...commandLine.split(" ").filter(Boolean)].map(quote);
  return [
    OPENING,
    `menuentry 'Causeway boot environment' --unrestricted --id ${quote(grubEntryId(jobId))} {`,
    ...modules.map((module) => `  insmod ${quote(module)}`),
    `  search --no-floppy --fs-uuid --set=root ${quote(fileSystemUuid)}`,
    `  if linux ${words.join(" ")}; then`,
    `    if initrd ${initrdPaths.map(quote).join(" ")}; then`,
    "      boot",
    "    fi",
    "  fi",
    "  echo 'The boot environment cannot be loaded. Restarting into the original system.'",
    "  sleep 10",
    "  reboot",
    "}",
    CLOSING,
    "",
  ].join("\n");
}

/** The file with the entry at its end; its own content stays as it is. */
export function appendGrubEntry(existing: Uint8Array, entry: string): Buffer {
  const last = existing.at(-1);
  const separator = last === undefined || last === 0x0a ? "" : "\n";
  return Buffer.concat([existing, Buffer.from(`${separator}${entry}`)]);
}

/**
 * The file without the entry in `appended` (as `appendGrubEntry` added it), even if that was edited. What is
 * around it stays, including a line end that appending had to add before it, if others have written behind it
 * since. `undefined` if the file still names the entry outside of our two lines.
 */
export function removeGrubEntry(existing: Uint8Array, appended: Uint8Array): Buffer | undefined {
  const id = / --id (\S+)/.exec(Buffer.from(appended).toString("latin1"))?.[1] ?? "";
  // One job's name may begin with another's.
  const named = new RegExp(`${id}(?![A-Za-z0-9-])`);
  const text = Buffer.from(existing).toString("latin1");
  const rest = text.replace(BLOCK, (block) => (named.test(block) ? "" : block));
  return named.test(rest) ? undefined : Buffer.from(rest, "latin1");
}

export function hasGrubEntry(text: string): boolean {
  return text.split("\n").includes(OPENING);
}

/** Between single quotes no character is special to GRUB, as in a shell. */
function quote(word: string): string {
  if (/[\0\n\r]/.test(word)) throw new RangeError("a word of GRUB's configuration cannot have a line end");
  return /^[A-Za-z0-9_./:=,@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
