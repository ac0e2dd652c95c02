import { isIP } from "node:net";
import { isAddress, isSameAddress } from "#shared/addresses.ts";
import { isReachableGateway, newAddressText, type SystemAddress } from "#shared/protocol/new-address.ts";
import type { WantedMachine } from "#shared/protocol/wanted-machine.ts";

/** An interface of the system, and the addresses that it is to have. */
export interface AskedInterface {
  name: string;
  /** The hardware address of the card whose name it has; absent for a bond, a bridge or a VLAN. */
  card?: string | undefined;
  /** The machine has no other card. */
  isOnlyCard: boolean;
  /** At most one of each family. */
  addresses: readonly SystemAddress[];
  nameServers: readonly string[];
}

/** One file of the system, as text of one byte for each character. */
export interface TextFile {
  path: string;
  text: string;
}

/** A program that configures the network by files. */
export interface Configurator {
  name: string;
  /** Patterns of its files. */
  reads: readonly string[];
  /**
   * The files as they have to be, so that the interface has the asked addresses and is otherwise as it was;
   * `undefined` if none of its files configures the interface. Throws `AddressNotSetError` for what it does
   * not understand.
   */
  edited(files: readonly TextFile[], asked: AskedInterface): TextFile[] | undefined;
}

/** A configuration that cannot be changed with certainty: the machine could be out of reach. */
export class AddressNotSetError extends Error {
  override readonly name = "AddressNotSetError";
}

/** In the order in which they were asked for. */
export function askedInterfaces({ addresses = [], cards }: WantedMachine): AskedInterface[] {
  const names = new Set(addresses.map((one) => one.interface));
  return [...names].map((name) => {
    const own = addresses.filter((one) => one.interface === name);
    return {
      name,
      card: cards.find(({ replaces }) => replaces?.name === name)?.address,
      isOnlyCard: cards.length === 1,
      addresses: own,
      nameServers: [...new Set(own.flatMap(({ nameServers }) => nameServers))],
    };
  });
}

/** 4 or 6. */
export function addressFamily({ address }: Pick<SystemAddress, "address">): 4 | 6 {
  return isIP(address) === 6 ? 6 : 4;
}

/** Whether this is the address that makes way, in any notation. */
export function isFormerAddress(text: string, { instead }: Pick<SystemAddress, "instead">): boolean {
  return instead !== undefined && isSameAddress(instead.address, text);
}

/** What in a text are addresses. */
export function addressWords(text: string): string[] {
  return text.split(/[^0-9a-fA-F:.]+/).filter(isAddress);
}

/** An address that a configuration names, as a place in it. */
export interface NamedAddress {
  address: string;
}

/**
 * Which of the addresses of one family makes way: the asked one itself, the one that it replaces, or the only
 * one if it is not known what it replaces. `undefined` if there is none, or if DHCP gave the one that makes
 * way, which is in no file: those beside it stay. Throws `AddressNotSetError` if it could be another one.
 */
export function replacedAmong<T extends NamedAddress>(
  present: readonly T[],
  { interface: name, address, instead }: SystemAddress,
): T | undefined {
  const own = present.filter((one) => !/^fe80:/i.test(one.address));
  const named = own.filter((one) =>
    [address, instead?.address ?? address].some((other) => isSameAddress(one.address, other)),
  );
  const candidates = named.length === 0 && !instead ? own : named;
  if (candidates.length === 1 || own.length === 0) return candidates[0];
  if (candidates.length === 0 && instead?.isLeased) return undefined;
  throw new AddressNotSetError(
    `${name} has ${own.map((one) => one.address).join(", ")} here, and it is unknown which one makes way`,
  );
}

/**
 * The gateway of the interface's default route as it has to be, if it has one. `present`: as it is. Throws
 * `AddressNotSetError` if the present one would be out of reach.
 */
export function gatewayAmong(present: readonly string[], asked: SystemAddress): string | undefined {
  if (asked.gateway !== undefined) return asked.gateway;
  const lost = present.find((one) => !isReachableGateway(one, asked));
  if (lost === undefined) return present[0];
  throw new AddressNotSetError(
    `${asked.interface} has the default route by ${lost}, which is outside ${newAddressText(asked)}: name its new gateway (gateway=ADDRESS)`,
  );
}

/**
 * NetworkManager does not listen to routers on an interface with static addresses of IPv6. Throws
 * `AddressNotSetError` if the default route would be lost by that.
 */
export function requireRouter(asked: SystemAddress, path: string): void {
  if (addressFamily(asked) === 4 || asked.gateway !== undefined) return;
  throw new AddressNotSetError(
    `${path}: with a static address, ${asked.interface} learns no IPv6 router from the network any more: name its gateway (gateway=ADDRESS)`,
  );
}

/** Whether the default route has to say that its gateway is on the link. */
export function needsOnLink(
  gateway: string,
  { address, prefixLength, gatewayOnLink }: SystemAddress,
): boolean {
  return gatewayOnLink === true && !isReachableGateway(gateway, { address, prefixLength });
}
