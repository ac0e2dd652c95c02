import { spawn } from "node:child_process";
import { globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { type ApiClient, createApiClient } from "#shared/protocol/client.ts";
import type { Conversion, Source, Target } from "#shared/protocol/resources.ts";
import { Daemon, MAIN } from "./daemon.ts";

/**
 * Long enough for the second retry of an event that a busy machine lost twice: after one minute and two more.
 */
export const CONNECT_LIMIT_MS = 300_000;
const LAST_WORDS = 2000;

export interface CliResult {
  code: number;
  stdout: string;
  stderr: string;
}

/**
 * A whole installation in one folder, used as a user would use it: the embedded cloud, agents and the command
 * line, each in its own process.
 */
export class Installation {
  readonly dir: string;
  readonly #main: string;
  readonly #daemons = new Map<string, Daemon>();
  #endpoint: { url: string; token: string } | undefined;

  /** `main`: the command line's program, that of this checkout unless given. */
  constructor(dir: string, main = MAIN) {
    this.dir = dir;
    this.#main = main;
    mkdirSync(dir, { recursive: true });
  }

  get url(): string {
    return this.#reach().url;
  }

  get token(): string {
    return this.#reach().token;
  }

  /** Starts the embedded cloud, or starts it again on its data. */
  async up(): Promise<void> {
    const daemon = this.#start("cloud", ["up", "--data", join(this.dir, "cloud"), "--json"]);
    this.#endpoint = z
      .object({ url: z.url(), token: z.string() })
      .parse(JSON.parse(await daemon.firstLine()));
  }

  /** The API as a program uses it. A request costs this machine less than a command. */
  get api(): ApiClient {
    const { url, token } = this.#reach();
    return createApiClient({
      url,
      authorize: async ({ headers }) => ({ ...headers, authorization: `Bearer ${token}` }),
    });
  }

  /** Works with a control plane that runs elsewhere. */
  use(endpoint: { url: string; token: string }): void {
    this.#endpoint = endpoint;
  }

  /**
   * Enrols an agent and starts it; `options` are the command line's. `enter`: the words that have a command
   * run on another host.
   */
  async enrol(
    name: string,
    role: "source" | "target",
    options: string[],
    enter: readonly string[] = [],
  ): Promise<void> {
    const { token } = z.object({ token: z.string() }).parse(await this.json(["enrol-token", "--role", role]));
    const tokenFile = join(this.dir, `${name}.token`);
    writeFileSync(tokenFile, token, { mode: 0o600 });
    const identity = ["--role", role, "--url", this.url, "--enrol-file", tokenFile];
    this.#start(name, ["agent", ...identity, "--data", join(this.dir, name), ...options], enter);
  }

  /** Starts an agent that has enrolled before. `enter`: as for `enrol`. */
  startAgent(name: string, enter: readonly string[] = []): void {
    this.#start(name, ["agent", "--data", join(this.dir, name)], enter);
  }

  daemon(name: string): Daemon {
    const daemon = this.#daemons.get(name);
    if (!daemon) throw new Error(`${name} was not started`);
    return daemon;
  }

  /** Power cut of one process. */
  async kill(...names: string[]): Promise<void> {
    await Promise.all(names.map((name) => this.daemon(name).stop("SIGKILL")));
  }

  /** Runs a command to its end. */
  cli(words: string[], onStderr: (text: string) => void = () => {}): Promise<CliResult> {
    const { url, token } = this.#reach();
    return new Promise((resolve, reject) => {
      const child = spawn(process.execPath, [this.#main, ...words], {
        env: { ...process.env, CAUSEWAY_URL: url, CAUSEWAY_TOKEN: token },
        stdio: ["ignore", "pipe", "pipe"],
      });
      let stdout = "";
      let stderr = "";
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        stdout += text;
      });
      child.stderr.setEncoding("utf8").on("data", (text: string) => {
        stderr += text;
        onStderr(text);
      });
      child.on("error", reject);
      child.on("close", (code) => resolve({ code: code ?? -1, stdout, stderr }));
    });
  }

  /** The JSON document of a command that must succeed. */
  async json(words: string[], onStderr?: (text: string) => void): Promise<unknown> {
    const { code, stdout, stderr } = await this.cli([...words, "--json"], onStderr);
    if (code !== 0) throw new Error(`causeway ${words.join(" ")} ended with ${code}: ${stderr}${stdout}`);
    return JSON.parse(stdout);
  }

  /** The only source server, once it is connected. */
  source(timeoutMs = CONNECT_LIMIT_MS): Promise<Source> {
    return this.#connected("source server", () => this.api.listSources({}), timeoutMs);
  }

  /** The only target host, once it is connected. */
  target(): Promise<Target> {
    return this.#connected("target host", () => this.api.listTargets({}), CONNECT_LIMIT_MS);
  }

  conversion(id: string): Promise<Conversion> {
    return this.api.getConversion({ parameters: { id } });
  }

  /** The newest content of an object in the embedded cloud's bucket, such as a drill's evidence. */
  storedObject(key: string): Buffer {
    const [path] = globSync(`s3/buckets/*/${key}@*`, { cwd: join(this.dir, "cloud") })
      .sort()
      .slice(-1);
    if (path === undefined) throw new Error(`the bucket has no object ${key}`);
    return readFileSync(join(this.dir, "cloud", path));
  }

  /** The end of each process's log, to explain a failure. */
  lastWords(): string {
    return [...this.#daemons.keys()]
      .map((name) => `== ${name}\n${readFileSync(this.#logOf(name), "utf8").slice(-LAST_WORDS)}`)
      .join("\n");
  }

  async stop(): Promise<void> {
    const daemons = [...this.#daemons.values()];
    await Promise.all(daemons.map((daemon) => daemon.stop()));
  }

  async #connected<T extends Source | Target>(
    what: string,
    list: () => Promise<{ items: T[] }>,
    timeoutMs: number,
  ): Promise<T> {
    const deadline = performance.now() + timeoutMs;
    while (performance.now() < deadline) {
      const { items } = await list();
      const found = items.find((item) => item.presence === "connected" && item.inventory);
      if (found) return found;
      if ([...this.#daemons.values()].some(({ running }) => !running)) break;
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    throw new Error(`no ${what} is connected; the logs in ${this.dir} end with\n${this.lastWords()}`);
  }

  #reach(): { url: string; token: string } {
    if (!this.#endpoint) throw new Error("the embedded cloud is not up");
    return this.#endpoint;
  }

  #logOf(name: string): string {
    return join(this.dir, `${name}.log`);
  }

  #start(name: string, words: string[], enter: readonly string[] = []): Daemon {
    const daemon = new Daemon(words, this.#logOf(name), this.#main, enter);
    this.#daemons.set(name, daemon);
    return daemon;
  }
}
