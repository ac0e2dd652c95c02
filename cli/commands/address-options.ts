import { InvalidInputError } from "#shared/errors.ts";
import { type NewAddress, NewAddresses } from "#shared/protocol/new-address.ts";
import type { CliCall, CliCommand } from "../command.ts";
import { UsageError } from "../errors.ts";

/** Addresses that an adapted system gets: the options that commands which adapt one share. */
export const ADDRESS_HELP: [string, string][] = [
  [
    "--address INTERFACE=ADDRESS/PREFIX",
    "the adapted system's interface has this IPv4 or IPv6 address in place of the source's; add ,gateway=ADDRESS, ,on-link if that is outside the prefix, and ,dns=ADDRESS for each name server (repeatable; default: all addresses are kept)",
  ],
];

export const ADDRESS_OPTIONS = {
  address: { type: "string", multiple: true },
} as const satisfies CliCommand["options"];

/** What the options of `ADDRESS_OPTIONS` ask for; throws `UsageError` about `command`. */
export function addressFields(call: CliCall, command: string): { addresses: NewAddress[] } {
  const texts = (call.values.address as string[] | undefined) ?? [];
  const read = NewAddresses.safeParse(texts.map((text) => fieldsOf(text, command)));
  if (read.success) return { addresses: read.data };
  throw new InvalidInputError(
    read.error.issues.map(({ path, message }) => ({
      path: `--address ${texts[Number(path[0])] ?? ""}`.trimEnd(),
      message,
    })),
  );
}

/** `eth0=192.0.2.20/24,gateway=192.0.2.1,dns=192.0.2.53`; throws `UsageError`. */
function fieldsOf(text: string, command: string): unknown {
  const [first = "", ...settings] = text.split(",");
  const [, name, address, prefix] = /^([^=]+)=([^/]+)\/(\d{1,3})$/.exec(first) ?? [];
  if (name === undefined)
    throw new UsageError(
      `--address must begin with INTERFACE=ADDRESS/PREFIX, such as eth0=192.0.2.20/24, not ${first}`,
      command,
    );
  const gateways: string[] = [];
  const nameServers: string[] = [];
  let isOnLink = false;
  for (const setting of settings) {
    const [, kind, value = ""] = /^(gateway|dns)=(.+)$/.exec(setting) ?? [];
    if (kind === "gateway") gateways.push(value);
    else if (kind === "dns") nameServers.push(value);
    else if (setting === "on-link") isOnLink = true;
    else
      throw new UsageError(
        `--address takes gateway=ADDRESS, on-link and dns=ADDRESS, not ${setting}`,
        command,
      );
  }
  if (gateways.length > 1) throw new UsageError("--address takes one gateway", command);
  const [gateway] = gateways;
  return {
    ...{ interface: name, address, prefixLength: Number(prefix), nameServers },
    ...(gateway === undefined ? {} : { gateway }),
    ...(isOnLink && { gatewayOnLink: true }),
  };
}
