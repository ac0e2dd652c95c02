import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";

/** As systemd: a socket fails after more skipped starts. */
const TRIGGER_LIMIT = 20;
const STOPPED_WITH = ["ConsistsOf", "RequiredBy", "BoundBy"] as const;

interface FakeUnit {
  /** Its own name, if this is another one. */
  Id?: string[];
  ConsistsOf?: string[];
  RequiredBy?: string[];
  BoundBy?: string[];
  /** Sockets, paths and timers. */
  TriggeredBy?: string[];
}

/** A systemd that stops what depends on a unit with it, and obeys the conditions of drop-ins it has read. */
export class FakeSystemd {
  /** In the order in which they were started. */
  active = new Set<string>();
  /** Of the units that are active. */
  activeState = "active";
  units: Record<string, FakeUnit> = {};
  /** Started at the host's start. */
  enabled: string[];
  /** It refuses to stop or start these. */
  stuck = new Set<string>();
  /** Those whose processes outlive their stop. */
  left = new Set<string>();
  /** It does not tell the relations of this one. */
  unknown: string | undefined;
  /** It cannot read its files again. */
  isBusy = false;
  calls: string[] = [];
  /** The call at which its caller is killed, after it took effect. */
  killedAt = Number.POSITIVE_INFINITY;
  killed = Promise.withResolvers<void>();
  /** What happens while it stops something. */
  whileStopping: () => Promise<void> = async () => {};
  readonly #dir: string;
  readonly #root: string;
  /** As it read them last: by unit, the files that must not be there. */
  #conditions = new Map<string, string[]>();
  readonly #triggers = new Map<string, number>();

  /** `dir` has the folders `etc` and `run`. `root`: where the paths of the conditions begin. */
  constructor(dir: string, enabled: string[], root = "") {
    this.#dir = dir;
    this.#root = root;
    this.enabled = enabled;
  }

  readonly systemctl = async (...args: string[]): Promise<string> => {
    const [action, unit = ""] = [args[0], args.at(-1) as string];
    this.calls.push(args.join(" "));
    if (action !== "show" && this.stuck.has(unit)) throw new Error(`${unit} does not ${action}`);
    if (action === "daemon-reload" && this.isBusy) throw new Error("systemd is busy");
    if (action === "daemon-reload") this.#load();
    if (action === "stop") await this.whileStopping();
    if (action === "stop") this.#stop(unit);
    if (action === "start") this.#start(unit);
    if (this.calls.length === this.killedAt) {
      this.killed.resolve();
      return new Promise<never>(() => {});
    }
    return action === "show" ? this.#showEach(args.slice(1)) : "";
  };

  /** The host restarts, and starts what no condition holds back. */
  restart(): void {
    rmSync(join(this.#dir, "run"), { recursive: true, force: true });
    this.#load();
    this.active.clear();
    this.#triggers.clear();
    for (const unit of this.enabled) this.#start(unit);
  }

  /** Whether systemd starts the unit, by its files as they are now. */
  isHeldBack(unit: string): boolean {
    return this.#conditionsOf(unit).some(this.#isThere);
  }

  /** A client connects to a socket; resolves whether a service answers. */
  connect(socket: string): boolean {
    if (!this.active.has(socket)) return false;
    const services = Object.keys(this.units).filter((one) => this.units[one]?.TriggeredBy?.includes(socket));
    for (const service of services) this.#start(service);
    if (services.some((service) => this.active.has(service))) return true;
    const triggers = (this.#triggers.get(socket) ?? 0) + 1;
    this.#triggers.set(socket, triggers);
    if (triggers > TRIGGER_LIMIT) this.active.delete(socket);
    return false;
  }

  #stop(unit: string): void {
    if (!this.active.delete(unit) && !this.units[unit]) return;
    for (const one of STOPPED_WITH.flatMap((relation) => this.units[unit]?.[relation] ?? []))
      if (this.active.has(one)) this.#stop(one);
  }

  #start(unit: string): void {
    const triggered = Object.keys(this.units).filter((one) => this.units[one]?.TriggeredBy?.includes(unit));
    if (triggered.some((service) => this.active.has(service)) && !this.active.has(unit))
      throw new Error(`the service of ${unit} is active already, refusing`);
    const isHeldBack = (this.#conditions.get(unit) ?? []).some(this.#isThere);
    if (!isHeldBack) this.active.add(unit);
  }

  readonly #isThere = (path: string) => existsSync(join(this.#root, path));

  #showEach([property = "", ...words]: string[]): string {
    const units = words.filter((word) => !word.startsWith("--"));
    return units.map((unit) => this.#show(unit, property)).join("\n");
  }

  #show(unit: string, property: string): string {
    const isActive = this.active.has(unit);
    const state = `ActiveState=${isActive ? this.activeState : "inactive"}\n`;
    if (property === "--property=LoadState,ActiveState") return `LoadState=loaded\n${state}`;
    if (property === "--property=ActiveState,ControlGroup")
      return `${state}ControlGroup=${isActive ? `/system.slice/${unit}` : ""}\n`;
    if (unit === this.unknown) throw new Error("systemd is busy");
    const relations = Object.entries({ Id: [unit], ...this.units[unit] }) as [string, string[]][];
    return relations.map(([name, units]) => `${name}=${units.map(quoted).join(" ")}\n`).join("");
  }

  #load(): void {
    const names = ["run", "etc"].flatMap((root) => this.#entries(join(this.#dir, root, "systemd/system")));
    const units = names.map((name) => name.replace(/\.d$/, ""));
    this.#conditions = new Map(units.map((unit) => [unit, this.#conditionsOf(unit)]));
  }

  /** Drop-ins count in the order of their names; one in `etc` replaces that of the same name in `run`. */
  #conditionsOf(unit: string): string[] {
    const files = new Map<string, string>();
    for (const root of ["run", "etc"]) {
      const folder = join(this.#dir, root, "systemd/system", `${unit}.d`);
      for (const name of this.#entries(folder)) files.set(name, join(folder, name));
    }
    let conditions: string[] = [];
    for (const [, path] of [...files].sort(([a], [b]) => (a < b ? -1 : 1)))
      for (const [, value = ""] of readFileSync(path, "utf8").matchAll(/^ConditionPathExists=!?(.*)$/gm))
        conditions = value === "" ? [] : [...conditions, value];
    return conditions;
  }

  #entries(folder: string): string[] {
    return existsSync(folder) ? readdirSync(folder) : [];
  }
}

/** As systemctl shows it. */
function quoted(unit: string): string {
  return unit.includes("\\") ? `"${unit.replaceAll("\\", "\\\\")}"` : unit;
}
