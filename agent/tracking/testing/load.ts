/** For tests: random writes to a mounted file system, by xfs_io and others, repeatable by seed. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { Random } from "../../filesystems/testing/layouts/random.ts";

const FILES = 5;
const FILE_BYTES = 2 * 2 ** 20;
const PAGE = 4096;

/** Programs that write while the test continues. */
export class Load {
  readonly #end: Promise<unknown>;

  private constructor([command = "", ...args]: readonly string[]) {
    const child = spawn(command, args, { stdio: "ignore" });
    this.#end = once(child, "exit");
  }

  /** Starts one program that writes at random places below this folder. */
  static start(folder: string, random: Random, options: LoadOptions = {}): Load {
    return new Load(programOf(folder, random, options));
  }

  /**
   * Starts `count` of them, one after another, from a shell: a test that keeps whole disks in memory spends
   * most of its time on starting programs.
   */
  static series(folder: string, random: Random, count: number): Load {
    const programs = Array.from({ length: count }, () => programOf(folder, random));
    const lines = programs.map((words) => words.map((word) => `'${word}'`).join(" "));
    return new Load(["sh", "-c", lines.join("\n")]);
  }

  async ended(): Promise<void> {
    await this.#end;
  }
}

interface LoadOptions {
  /** Whether a program may discard free space, which continues under a freeze. Default: true. */
  trims?: boolean;
}

/** The words of a program. None has an apostrophe. */
function programOf(folder: string, random: Random, { trims = true }: LoadOptions = {}): string[] {
  const file = join(folder, `file${random.below(FILES)}`);
  if (random.oneIn(12)) return ["rm", "-f", file];
  if (random.oneIn(14)) return ["sync", "-f", folder];
  if (random.oneIn(10) && trims) return ["fstrim", folder];
  const commands = Array.from({ length: 2 + random.below(6) }, () => ["-c", commandOf(random)]).flat();
  const options = random.oneIn(2) ? ["-d", "-f"] : ["-f"];
  return ["xfs_io", ...options, "-c", `truncate ${FILE_BYTES}`, ...commands, file];
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
