/** Which checks of a machine are asked while it is isolated, and in which networks. */
import { isAddress, isInSubnet, isSameAddress } from "../addresses.ts";
import { IsolatedCheckUnavailableError } from "../errors.ts";
import { answerAddressProblem } from "../protocol/answer-address.ts";
import {
  type AnswerCheck,
  endpointOfCheck,
  endpointText,
  type SingleCheck,
  singleChecks,
} from "../protocol/answer-check.ts";
import { commandKinds } from "../protocol/commands.ts";
import type { NetworkCheck } from "../protocol/cutover.ts";
import type { HypervisorKind, MachineShape } from "../protocol/defined-machine.ts";
import type { Inventory, NetworkInterface } from "../protocol/inventory.ts";
import {
  type IsolatedNetwork,
  MachineAddress,
  MOST_ADDRESSES,
  MOST_NETWORKS,
} from "../protocol/isolated-network.ts";
import { wantedCards } from "./adapted-machine.ts";
import type { AgentRecord } from "./agent.ts";
import { type CommandRecord, latest } from "./command.ts";

/** Of a list of addresses, a reason names no more than these. */
const SHOWN_ADDRESSES = 4;

/** A machine that is to be asked. */
export interface AskedMachine {
  hypervisor: HypervisorKind;
  cards: MachineShape["cards"];
  inventory: Pick<Inventory, "network"> | undefined;
}

/** `networks`: not empty if a check is asked. */
export interface IsolatedChecks {
  asked: SingleCheck[];
  networks: IsolatedNetwork[];
  shown: NetworkCheck[];
}

/** Which of these checks are asked in the isolated machine's networks, and why others are not. */
export function isolatedChecks(check: AnswerCheck, machine: AskedMachine): IsolatedChecks {
  const { networks, others } = networksOf(machine);
  const all = singleChecks(check).filter((one) => endpointOfCheck(one) !== undefined);
  const shown = all.map((one) => shownCheck(one, networks, others));
  const asked = all.filter((_, index) => shown[index]?.beforeCommit !== "no");
  return { asked, networks: asked.length > 0 ? networks : [], shown };
}

/** The same, with what the target host has said of those that it was to ask. `commands`: of the cutover. */
export function askedChecks(
  shown: readonly NetworkCheck[] | undefined,
  commands: readonly CommandRecord[],
): NetworkCheck[] | undefined {
  const done = latest(
    commands.filter(({ kind, label }) => kind === "bring-up-machine" && label === "isolated"),
  );
  const said = commandKinds["bring-up-machine"].output.safeParse(done?.output).data;
  if (!said) return shown?.slice();
  return shown?.map((one) => {
    if (one.beforeCommit !== "by-name") return one;
    const left = said.leftOut?.find(({ check }) => check === one.check);
    return left ? { ...left, beforeCommit: "no" } : { check: one.check, beforeCommit: "yes" };
  });
}

/** None of them is, for this reason. */
export function noIsolatedChecks(check: AnswerCheck, why: string): IsolatedChecks {
  const shown = singleChecks(check).flatMap((one) => {
    const text = endpointText(one);
    return text === undefined ? [] : [{ check: text, beforeCommit: "no" as const, why }];
  });
  return { asked: [], networks: [], shown };
}

/** What is wrong if the target host cannot ask a machine that is isolated, as far as that is known. */
export function askerLack(target: AgentRecord | undefined): IsolatedCheckUnavailableError | undefined {
  const known = target?.inventory?.isolatedChecks;
  if (!target || (known && known.problem === undefined)) return undefined;
  const why = known?.problem ?? "its agent is older, and does not say that it can";
  return new IsolatedCheckUnavailableError(`target host ${target.id}`, why);
}

function shownCheck(
  check: SingleCheck,
  networks: readonly IsolatedNetwork[],
  others: ReadonlyMap<string, string>,
): NetworkCheck {
  const [text, host] = [endpointText(check) ?? "", endpointOfCheck(check)?.host ?? ""];
  const addresses = networks.flatMap((network) => network.addresses);
  if (isAddress(host)) {
    if (addresses.some((one) => isSameAddress(one, host))) return { check: text, beforeCommit: "yes" };
    const [, why] = [...others].find(([one]) => isSameAddress(one, host)) ?? [];
    return { check: text, beforeCommit: "no", why: why ?? `the source is not known to have ${host}` };
  }
  if (addresses.length > 0) {
    const some = addresses.slice(0, SHOWN_ADDRESSES).join(" or ");
    const why = `only if the target host finds ${some} by the name ${host}`;
    return { check: text, beforeCommit: "by-name", why };
  }
  const shown = [...others].slice(0, SHOWN_ADDRESSES).map(([address, reason]) => `${address}: ${reason}`);
  const why = shown.join("; ");
  return { check: text, beforeCommit: "no", why: why || "no address of the source is known" };
}

/** `others`: addresses of the source at which the isolated machine is not asked, with the reason. */
interface Networks {
  networks: IsolatedNetwork[];
  others: Map<string, string>;
}

function networksOf(machine: AskedMachine): Networks {
  const { interfaces = [], routes = [] } = machine.inventory?.network ?? {};
  const networks = new Map<string, IsolatedNetwork>();
  const others = new Map<string, string>();
  const gateways = routes
    .toSorted((a, b) => Number(b.destination === "default") - Number(a.destination === "default"))
    .flatMap(({ gateway }) => MachineAddress.safeParse(gateway).data ?? []);
  for (const each of interfaces)
    for (const of of each.addresses.filter(isOfMachine)) {
      const { address, prefixLength } = of;
      const gateway = gateways.find((one) => !isSameAddress(one, address) && isInSubnet(one, of));
      const key = `${gateway}/${prefixLength}`;
      const known = networks.get(key)?.addresses ?? [];
      const isFull = known.length >= MOST_ADDRESSES || (known.length === 0 && networks.size >= MOST_NETWORKS);
      const obstacle =
        cableObstacle(each, machine) ?? originObstacle(of) ?? (isFull ? "it is one of too many" : undefined);
      if (obstacle === undefined && gateway !== undefined)
        networks.set(key, { gateway, prefixLength, addresses: [...known, address] });
      else others.set(address, obstacle ?? "no gateway of its network is known, whose place could be taken");
    }
  return { networks: [...networks.values()], others };
}

type InterfaceAddress = NetworkInterface["addresses"][number];

/** What else a source reports as an address is handed on to no other machine. */
function isOfMachine({ address }: InterfaceAddress): boolean {
  return MachineAddress.safeParse(address).success && answerAddressProblem(address) === undefined;
}

/** Why the isolated machine's cable does not lead to the interface; `undefined` if it does. */
function cableObstacle(
  { name, vlan }: NetworkInterface,
  { hypervisor, cards, inventory }: AskedMachine,
): string | undefined {
  if (vlan) return `it is in VLAN ${vlan.id}`;
  const all = inventory?.network.interfaces ?? [];
  const isAt = (port: string, seen: readonly string[] = []): boolean => {
    if (port === name) return true;
    const master = all.find((one) => one.name === port)?.master;
    return master !== undefined && !seen.includes(master) && isAt(master, [...seen, port]);
  };
  const index = wantedCards({ cards }, undefined, inventory).findIndex(
    ({ replaces }) => replaces !== undefined && isAt(replaces.name),
  );
  if (index < 0) return `no card of the machine takes the place of ${name}`;
  return hypervisor === "qemu" && cards[index]?.link.kind === "isolated"
    ? "QEMU without libvirt connects an isolated card to nothing"
    : undefined;
}

function originObstacle({ dynamic, origin }: InterfaceAddress): string | undefined {
  if (dynamic || origin === "lease" || origin === "dhcpv6" || origin === "router")
    return "DHCP or a router gives it, which an isolated machine does not reach";
  return origin === "cluster" ? "a cluster moves it between machines" : undefined;
}
