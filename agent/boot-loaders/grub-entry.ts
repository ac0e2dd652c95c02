/** What the menu entry starts. Paths are from the root of the file system, as GRUB sees it. */
export interface GrubEntry {
  jobId: string;
  /** Where the kernel and the RAM disk lie. */
  fileSystemUuid: string;
  /** GRUB's modules that are needed to read it, such as `part_gpt` and `ext2`. */
  modules: readonly string[];
  kernelPath: string;
  /** One after the other, in this order. */
  initrdPaths: readonly string[];
  commandLine: string;
}

const OPENING = "# >>> Causeway: added for one start, taken away after it >>>";
const CLOSING = "# <<< Causeway <<<";
/** From one of our lines to the next, with no other beginning between them. */
const BLOCK = new RegExp(
  `^${OPENING}\\r?\\n(?:(?!# >>> Causeway|# <<< Causeway)[^\\n]*\\n)*${CLOSING}\\r?(?:\\n|$)`,
  "gm",
);

export function grubEntryId(jobId: string): string {
  return `causeway-${jobId}`;
}

/**
 * Everybody may start it, where GRUB asks for a password otherwise: nobody is there to type it. For the same
 * reason it restarts the machine where the image cannot be loaded: GRUB would show its menu and wait for a
 * key without end. The next start is the original system's by then.
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

/** The file with the entry at its end; what stands in it stays as it is. */
export function appendGrubEntry(existing: Uint8Array, entry: string): Buffer {
  const last = existing.at(-1);
  const separator = last === undefined || last === 0x0a ? "" : "\n";
  return Buffer.concat([existing, Buffer.from(`${separator}${entry}`)]);
}

/**
 * The file without the entry that `appended` (as `appendGrubEntry` added it) has, even where that was edited.
 * What stands around it stays, also a line end that appending had to add before it, once others have written
 * behind it. `undefined` where it still names the entry and not between our two lines.
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

/** Between single quotes nothing is special to GRUB, as in a shell. */
function quote(word: string): string {
  if (/[\0\n\r]/.test(word)) throw new RangeError("a word of GRUB's configuration cannot have a line end");
  return /^[A-Za-z0-9_./:=,@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
