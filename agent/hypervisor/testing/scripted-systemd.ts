import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Systemctl } from "../qemu/service/systemctl.ts";

/** Runs the scripts that a unit names, as systemd does, with their real QEMU. One unit. */
export class ScriptedSystemd {
  readonly calls: string[] = [];
  readonly #unitsDir: string;
  readonly #runtimeDir: string;
  #main: ChildProcess | undefined;

  constructor({ unitsDir, runtimeDir }: { unitsDir: string; runtimeDir: string }) {
    this.#unitsDir = unitsDir;
    this.#runtimeDir = runtimeDir;
  }

  get pid(): number {
    return this.#main?.pid ?? 0;
  }

  readonly systemctl: Systemctl = async (...args) => {
    this.calls.push(args.join(" "));
    const [action, unit = ""] = [args[0], args.at(-1)];
    const isOn = this.#main?.exitCode === null && this.#main.signalCode === null;
    if (action === "show") return isOn ? "active\n" : "inactive\n";
    if (action === "start") this.#start(unit);
    if (action === "kill") this.#main?.kill("SIGTERM");
    return "";
  };

  /** Runs the unit's script for the host's shutdown, for at most so much time. */
  pressByScript(unit: string, limitMs: number): void {
    try {
      execFileSync(this.#script(unit, "ExecStop"), { env: this.#environment(unit), timeout: limitMs });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ETIMEDOUT") throw error;
    }
  }

  #start(unit: string): void {
    mkdirSync(join(this.#runtimeDir, unit.replace(".service", "")), { recursive: true, mode: 0o711 });
    execFileSync(this.#script(unit, "ExecStartPre"), { env: this.#environment(unit) });
    this.#main = spawn(this.#script(unit, "ExecStart"), { env: this.#environment(unit), stdio: "inherit" });
  }

  #environment(unit: string): Record<string, string> {
    const folder = join(this.#runtimeDir, unit.replace(".service", ""));
    return { PATH: process.env.PATH ?? "", RUNTIME_DIRECTORY: folder, MAINPID: String(this.pid) };
  }

  #script(unit: string, key: string): string {
    const text = readFileSync(join(this.#unitsDir, unit), "utf8");
    const quoted = new RegExp(`^${key}="(.*)"$`, "m").exec(text)?.[1] ?? "";
    return quoted.replace(/\\(.)/g, "$1").replaceAll("%%", "%");
  }
}
