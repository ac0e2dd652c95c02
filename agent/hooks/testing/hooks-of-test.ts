import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { HookDeps } from "../hook-run.ts";
import { PendingHooks } from "../pending-hooks.ts";

export const POINT = "rp_01hzy3v9xkq8m7n5t4r2w1e0aa";

/** A folder with hooks, an agent's folder, and a file in which scripts leave what they did. */
export class HooksOfTest implements AsyncDisposable {
  readonly root: string;
  readonly deps: HookDeps;
  readonly logged: { level: string; message: string; fields: Record<string, unknown> }[] = [];

  private constructor(root: string) {
    this.root = root;
    const at =
      (level: string) =>
      (message: string, fields: Record<string, unknown> = {}) => {
        this.logged.push({ level, message, fields });
      };
    this.deps = {
      folder: join(root, "hooks"),
      pending: new PendingHooks(join(root, "agent")),
      log: { info: at("info"), warn: at("warn"), error: at("error") },
    };
  }

  static async create(): Promise<HooksOfTest> {
    const hooks = new HooksOfTest(await mkdtemp(join(tmpdir(), "causeway-hooks-")));
    await mkdir(hooks.deps.folder);
    await mkdir(join(hooks.root, "agent"));
    return hooks;
  }

  get notes(): string {
    return join(this.root, "notes");
  }

  get pendingFile(): string {
    return join(this.root, "agent/pending-hooks.json");
  }

  /** Each script is a body for `sh`; `note TEXT` adds a line to the notes. */
  async add(
    name: string,
    scripts: { before: string; after?: string; limitSeconds?: number },
  ): Promise<string> {
    const folder = join(this.deps.folder, name);
    await mkdir(folder);
    const { before, after, limitSeconds } = scripts;
    await this.#script(join(folder, "before"), before);
    if (after !== undefined) await this.#script(join(folder, "after"), after);
    if (limitSeconds !== undefined) await writeFile(join(folder, "time-limit"), `${limitSeconds}\n`);
    return folder;
  }

  #script(path: string, body: string): Promise<void> {
    const text = `#!/bin/sh\nnote() { echo "$*" >> '${this.notes}'; }\n${body}\n`;
    return writeFile(path, text, { mode: 0o755 });
  }

  async noted(): Promise<string[]> {
    return existsSync(this.notes) ? (await readFile(this.notes, "utf8")).trim().split("\n") : [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.root, { recursive: true, force: true });
  }
}
