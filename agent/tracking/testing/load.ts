/** For tests: random writes to a mounted file system, by xfs_io and others, repeatable by seed. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { Random } from "../../filesystems/testing/layouts/random.ts";

const FILES = 5;
const FILE_BYTES = 2 * 2 ** 20;
const PAGE = 4096;

/** One program that writes while the test continues. */
export class Load {
  readonly #end: Promise<unknown>;

  private constructor(command: string, args: readonly string[]) {
    const child = spawn(command, args, { stdio: "ignore" });
    this.#end = once(child, "exit");
  }

  /**
   * Starts some random writes below this folder. Without `trims`, none of them discards free space: that
   * continues under a freeze.
   */
  static start(folder: string, random: Random, { trims = true }: { trims?: boolean } = {}): Load {
    const file = join(folder, `file${random.below(FILES)}`);
    if (random.oneIn(12)) return new Load("rm", ["-f", file]);
    if (random.oneIn(14)) return new Load("sync", ["-f", folder]);
    if (random.oneIn(10) && trims) return new Load("fstrim", [folder]);
    const commands = Array.from({ length: 2 + random.below(6) }, () => ["-c", commandOf(random)]).flat();
    const isDirect = random.oneIn(2);
    return new Load("xfs_io", [
      ...(isDirect ? ["-d"] : []),
      "-f",
      "-c",
      `truncate ${FILE_BYTES}`,
      ...commands,
      file,
    ]);
  }

  async ended(): Promise<void> {
    await this.#end;
  }
}

function commandOf(random: Random): string {
  const pages = 1 + random.below(random.oneIn(5) ? 64 : 4);
  const offset = random.below(FILE_BYTES / PAGE - pages) * PAGE;
  const range = `${offset} ${pages * PAGE}`;
  const seed = 1 + random.below(255);
  switch (random.below(9)) {
    case 0:
      return `fpunch ${range}`;
    case 1:
      return `fzero ${range}`;
    case 2:
      return `falloc ${range}`;
    case 3:
      return "fsync";
    case 4:
      return `mmap -rw ${range}`;
    case 5:
      return `mwrite -S ${seed} ${range}`;
    default:
      return `pwrite -q -b ${pages * PAGE} -S ${seed} ${range}`;
  }
}
