/** What an adapted system's new addresses replace, and what follows for those who ask its machine. */
import { canonicalAddress, familyOf, isSameAddress, isSameFamily } from "../addresses.ts";
import { InvalidInputError } from "../errors.ts";
import { type AnswerCheck, endpointOfCheck, singleChecks } from "../protocol/answer-check.ts";
import type { CommandInput } from "../protocol/commands.ts";
import type { Inventory, NetworkInterface } from "../protocol/inventory.ts";
import {
  isReachableGateway,
  type NewAddress,
  newAddressText,
  type SystemAddress,
  UnicastAddress,
} from "../protocol/new-address.ts";
import type { WantedMachine } from "../protocol/wanted-machine.ts";

type Network = Inventory["network"];
type InterfaceAddress = NetworkInterface["addresses"][number];

/**
 * The new addresses with what they replace. Where the request does not say, the source's gateway stays if the
 * interface reaches it, and its name servers stay if DHCP had named them. Throws `InvalidInputError` for an
 * interface that the source or the machine does not have, an address that another interface keeps, and a
 * gateway that would be out of reach.
 */
export function systemAddresses(
  asked: readonly NewAddress[],
  { cards, network }: { cards: WantedMachine["cards"]; network: Network | undefined },
): SystemAddress[] {
  return asked.map((one, index) => {
    const refuse = (message: string): never => {
      throw new InvalidInputError([{ path: `addresses.${index}`, message }]);
    };
    if (!network) return refuse("the source has not reported its network yet");
    const of = network.interfaces.find(({ name }) => name === one.interface);
    const problem = of ? placeProblem(of, cards, network) : unknownInterface(one.interface, network);
    if (!of || problem !== undefined) return refuse(problem ?? "");
    const instead = replacedAddress(one, of);
    const holder = holderOf(one, instead, asked, network);
    if (holder !== undefined) return refuse(`${one.address} is an address of ${holder}, which keeps it`);
    const gateway = one.gateway ?? presentGateway(one, network);
    if (gateway !== undefined && one.gateway === undefined && !isReachableGateway(gateway, one))
      return refuse(
        `${one.interface} has the default route by ${gateway}, which is outside ${newAddressText(one)}: name its new gateway (gateway=ADDRESS)`,
      );
    const { interface: name, address, prefixLength, gatewayOnLink } = one;
    const isLeased = instead !== undefined && isFromDhcp(instead);
    const kept = isLeased ? knownNameServers(network) : [];
    return {
      ...{ interface: name, address, prefixLength },
      ...(gateway === undefined ? {} : { gateway: canonicalAddress(gateway) }),
      ...(gatewayOnLink && { gatewayOnLink }),
      nameServers: hasNameServers(one.interface, asked) ? one.nameServers : kept,
      ...(instead && { instead: replacedOf(instead, isLeased) }),
    };
  });
}

function replacedOf(
  { address, prefixLength }: InterfaceAddress,
  isLeased: boolean,
): NonNullable<SystemAddress["instead"]> {
  return { address: canonicalAddress(address), prefixLength, ...(isLeased && { isLeased: true as const }) };
}

function unknownInterface(name: string, { interfaces }: Network): string {
  const names = interfaces.filter(({ master }) => master === undefined).map((one) => one.name);
  return `the source has no interface ${name}; it has ${names.join(", ") || "none"}`;
}

/** Why the machine's system cannot have an address there; `undefined` if it can. */
function placeProblem(
  of: NetworkInterface,
  cards: WantedMachine["cards"],
  { interfaces }: Network,
): string | undefined {
  const { name, master, configuration } = of;
  if (configuration.source === "kernel")
    return `${name} has its address from the kernel's parameters (ip=), which are not changed`;
  if (master !== undefined) return `${name} is a part of ${master}, which has the address: name ${master}`;
  const isReached = cards.some(({ replaces }) => replaces && isPartOf(replaces.name, name, interfaces));
  return isReached
    ? undefined
    : `no card of the machine takes the place of ${name}: give one the place of its port (--nic …,keep=PORT, or --port PORT of \`machine adapt\`)`;
}

/** Whether an interface is this port, or is made of it: a bond, a bridge, a VLAN. */
function isPartOf(
  port: string,
  name: string,
  interfaces: readonly NetworkInterface[],
  seen: readonly string[] = [],
): boolean {
  if (port === name) return true;
  if (seen.includes(port)) return false;
  const above = interfaces.filter(
    (one) =>
      one.vlan?.parent === port || interfaces.some((each) => each.name === port && each.master === one.name),
  );
  return above.some((one) => isPartOf(one.name, name, interfaces, [...seen, port]));
}

/** The first address of the family that is the machine's own. */
function replacedAddress(
  { address }: NewAddress,
  { addresses }: NetworkInterface,
): InterfaceAddress | undefined {
  const own = addresses.filter(
    (one) =>
      isSameFamily(one.address, address) &&
      UnicastAddress.safeParse(one.address).success &&
      !one.address.startsWith("fe80:") &&
      one.prefixLength > 0,
  );
  const rank = ({ origin }: InterfaceAddress) =>
    origin === "cluster" ? 3 : origin === "doubtful" ? 2 : origin === "router" ? 1 : 0;
  const [first] = own.toSorted((a, b) => rank(a) - rank(b));
  return first && rank(first) < 3 ? first : undefined;
}

/** The interface that has the address, and keeps it. */
function holderOf(
  { interface: name, address }: NewAddress,
  instead: InterfaceAddress | undefined,
  asked: readonly NewAddress[],
  { interfaces }: Network,
): string | undefined {
  if (instead && isSameAddress(instead.address, address)) return undefined;
  const isChanged = (other: NetworkInterface) =>
    asked.some(
      (one) =>
        one.interface === other.name &&
        isSameFamily(one.address, address) &&
        isSameAddress(replacedAddress(one, other)?.address ?? "", address),
    );
  return interfaces.find(
    (other) =>
      other.addresses.some((one) => isSameAddress(one.address, address)) &&
      (other.name === name || !isChanged(other)),
  )?.name;
}

/** The interface's default gateway, unless its router says which one it is. */
function presentGateway({ interface: name, address }: NewAddress, { routes }: Network): string | undefined {
  return routes.find(
    ({ destination, device, gateway = "", protocol }) =>
      destination === "default" &&
      device === name &&
      protocol !== "ra" &&
      isSameFamily(gateway, address) &&
      UnicastAddress.safeParse(gateway).success,
  )?.gateway;
}

/** An older agent does not say it of an address that has a lifetime. */
function isFromDhcp({ family, dynamic, origin }: InterfaceAddress): boolean {
  if (origin === undefined) return dynamic && family === "ipv4";
  return origin === "lease" || origin === "dhcpv6";
}

function hasNameServers(name: string, asked: readonly NewAddress[]): boolean {
  return asked.some((one) => one.interface === name && one.nameServers.length > 0);
}

function knownNameServers({ dns }: Network): string[] {
  return dns.servers.filter((one) => UnicastAddress.safeParse(one).success).slice(0, 3);
}

/** The source's network as its machine has it, for those who ask the machine. */
export function networkOnMachine(network: Network, addresses: readonly SystemAddress[]): Network {
  const interfaces = network.interfaces.map((each) => {
    const own = addresses.filter((one) => one.interface === each.name);
    const kept = each.addresses.filter(
      ({ address }) =>
        !own.some(
          (one) => isSameAddress(one.instead?.address ?? "", address) || isSameAddress(one.address, address),
        ),
    );
    const added = own.map(({ address, prefixLength }) => ({
      ...{ family: familyOf(address), address, prefixLength },
      ...{ dynamic: false, origin: "configured" as const },
    }));
    return { ...each, addresses: [...added, ...kept] };
  });
  const routes = addresses.flatMap(({ interface: device, gateway }) =>
    gateway === undefined ? [] : [{ destination: "default", gateway, device }],
  );
  return { ...network, interfaces, routes: [...routes, ...network.routes] };
}

/** The source's addresses that no interface of its machine has. */
function formerAddresses(addresses: readonly SystemAddress[]): string[] {
  return addresses
    .flatMap(({ instead }) => instead?.address ?? [])
    .filter((former) => !addresses.some(({ address }) => isSameAddress(address, former)));
}

/** What the machine's definition says of the addresses that it gives up. */
export function formerIn(
  addresses: readonly SystemAddress[],
): Pick<CommandInput<"define-machine">, "formerAddresses"> {
  const former = formerAddresses(addresses);
  return former.length === 0 ? {} : { formerAddresses: former };
}

/** Throws `InvalidInputError` for a check that asks at an address which the machine does not have. */
export function requireNotFormer(check: AnswerCheck, addresses: readonly SystemAddress[]): void {
  const former = formerAddresses(addresses);
  const problems = singleChecks(check).flatMap((one) => {
    const host = endpointOfCheck(one)?.host ?? "";
    const at = former.find((each) => isSameAddress(each, host));
    const now = addresses.find(({ instead }) => instead?.address === at);
    return at === undefined || !now
      ? []
      : [`${at} is the source's address: the machine has ${now.address} in its place, so ask that`];
  });
  if (problems.length > 0)
    throw new InvalidInputError(problems.map((message) => ({ path: "check", message })));
}
