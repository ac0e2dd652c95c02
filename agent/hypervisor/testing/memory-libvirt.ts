import { HypervisorFailedError } from "#shared/errors.ts";
import type { Virsh } from "../libvirt/virsh.ts";

interface Item {
  uuid: string;
  name: string;
  xml: string;
  /** What it has been switched on with, and what was changed since. */
  live?: string;
  active: boolean;
  /** Its memory is saved, and it continues from there. */
  isSaved?: boolean;
}

type Kind = "" | "net-" | "pool-";

/**
 * What libvirt keeps, in memory, behind the program's commands that Causeway uses. `failAt` makes the call
 * with this number fail after it took effect, as if the agent had been killed before it saw the answer.
 */
export class MemoryLibvirt implements Virsh {
  readonly items: Record<Kind, Item[]> = { "": [], "net-": [], "pool-": [] };
  readonly calls: string[] = [];
  failAt = Number.POSITIVE_INFINITY;
  /** Whether machines obey their power button. */
  obeys = true;

  async run(args: readonly string[], input = ""): Promise<string> {
    this.calls.push(args.join(" "));
    const output = this.#run(args, input);
    if (this.calls.length === this.failAt) throw new Error("killed");
    return output;
  }

  /** Defines something that Causeway did not. */
  add(kind: Kind, item: { uuid: string; name: string; xml?: string }): void {
    this.items[kind].push({ xml: "<foreign/>", ...item, active: false });
  }

  /** Defines and starts a network with a bridge of the kernel, which Causeway did not. */
  async addNetwork(name: string, xml = '<network><bridge name="virbr7"/></network>'): Promise<void> {
    const uuid = "11111111-2222-4333-8444-555555555555";
    this.add("net-", { uuid, name, xml });
    await this.run(["net-start", uuid]);
  }

  /** The host restarts, with libvirt's service that saves guests; it does not restore them by itself. */
  restartHost(): void {
    for (const item of this.items[""].filter(({ active }) => active)) {
      item.active = false;
      item.isSaved = true;
    }
  }

  #run([command = "", ...args]: readonly string[], input: string): string {
    if (command === "version") return "Running against daemon: 9.0.0\n";
    if (command === "domcapabilities") throw new HypervisorFailedError("no KVM");
    const [, prefix = "", action = ""] = /^(net-|pool-)?(.*)$/.exec(command) ?? [];
    const items = this.items[prefix as Kind];
    if (command === "net-list" && args.includes("--uuid") && args.includes("--name"))
      throw new HypervisorFailedError("Only one argument from --table, --name and --uuid may be specified.");
    if (action === "list")
      return items
        .filter(({ active }) => active || args.includes("--all"))
        .filter(({ isSaved }) => isSaved || !args.includes("--with-managed-save"))
        .map(({ uuid, name }) => [args.includes("--uuid") && uuid, args.includes("--name") && name])
        .map((parts) => `${parts.filter(Boolean).join(" ")}\n`)
        .join("");
    if (action === "define") return this.#define(items, input);
    const wanted = args[0] === "--domain" ? args[1] : args[0];
    const item = items.find(({ uuid, name }) => uuid === wanted || name === wanted);
    if (!item) throw new HypervisorFailedError(`there is no ${wanted}`);
    if (action === "update-device" || action === "domif-setlink")
      return this.#changeCard(item, input || (args[3] ?? ""), args.at(-1));
    return this.#act(action, item, items);
  }

  /** Of a machine that is on: what its card is attached to, or whether its cable is plugged in. */
  #changeCard(item: Item, card: string, state: string | undefined): string {
    if (!item.active) throw new HypervisorFailedError("domain is not running");
    const address = /address="(.*?)"/.exec(card)?.[1] ?? card;
    const interfaces = item.live?.match(/<interface .*?<\/interface>/gs) ?? [];
    const before = interfaces.find((one) => one.includes(address));
    if (before === undefined) throw new HypervisorFailedError(`no interface found with ${address}`);
    const after = card.startsWith("<")
      ? card
      : before.replace(/(?<=<interface )(?:link="\w+" )?/, `link="${state}" `);
    item.live = item.live?.replace(before, after);
    return "";
  }

  #define(items: Item[], xml: string): string {
    const uuid = /<uuid>(.*?)<\/uuid>/.exec(xml)?.[1] ?? "";
    const name = /<name>(.*?)<\/name>/.exec(xml)?.[1] ?? "";
    if (items.some((one) => (one.uuid === uuid) !== (one.name === name)))
      throw new HypervisorFailedError(`${name} is already defined with another uuid`);
    const known = items.find((one) => one.uuid === uuid);
    if (known) known.xml = xml;
    else items.push({ uuid, name, xml, active: false });
    return "";
  }

  #act(action: string, item: Item, items: Item[]): string {
    if (action === "domstate") return item.active ? "running\n" : "shut off\n";
    if (action === "metadata")
      return /<causeway:machine.*\/>/.exec(item.xml)?.[0].replace("causeway:", "") ?? "";
    if (action === "dumpxml") return item.xml;
    if (action === "name") return `${item.name}\n`;
    if (action === "autostart") return "";
    if (action === "info") return `Name:   ${item.name}\n${item.active ? "Bridge: virbr9\n" : ""}`;
    if (action === "qemu-monitor-command") return this.#tellMonitor(item);
    if (action === "start") return this.#switch(item, true);
    if (action === "destroy") return this.#switch(item, false);
    if (action === "shutdown") return this.obeys ? this.#switch(item, false) : "";
    if (action === "managedsave-remove") {
      item.isSaved = false;
      return "";
    }
    if (action !== "undefine") throw new HypervisorFailedError(`unknown command ${action}`);
    if (item.active) throw new HypervisorFailedError("it is active");
    if (item.isSaved)
      throw new HypervisorFailedError("Refusing to undefine while domain managed save image exists");
    items.splice(items.indexOf(item), 1);
    return "";
  }

  #tellMonitor({ active }: Item): string {
    if (!active) throw new HypervisorFailedError("domain is not running");
    return "";
  }

  #switch(item: Item, active: boolean): string {
    if (item.active === active) throw new HypervisorFailedError(`it is already ${active ? "on" : "off"}`);
    item.active = active;
    // What was saved has the devices that it had.
    if (!item.isSaved) item.live = item.xml;
    item.isSaved = false;
    return "";
  }
}
