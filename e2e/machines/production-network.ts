import { existsSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { run } from "./disk/command.ts";

const FIRST = "198.51.100.1";

/**
 * A network with addresses of `198.51.100.0/24`, of which this computer has the first: a bridge, and a tap
 * for a machine's second card.
 */
export class ProductionNetwork implements AsyncDisposable {
  readonly bridge = "cwprod";
  readonly tap = "cwprod-source";

  static async open(): Promise<ProductionNetwork> {
    const network = new ProductionNetwork();
    const { bridge, tap } = network;
    // A process that was killed leaves them.
    await network[Symbol.asyncDispose]();
    const inUse = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
    const other = inUse.find(({ address }) => address.startsWith("198.51.100."));
    if (other) throw new Error(`this computer has ${other.address}, of the network that the demo needs`);
    await ip("link", "add", bridge, "type", "bridge");
    await ip("address", "add", `${FIRST}/24`, "dev", bridge);
    await ip("tuntap", "add", tap, "mode", "tap");
    await ip("link", "set", tap, "master", bridge);
    for (const link of [tap, bridge]) await ip("link", "set", link, "up");
    return network;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const link of [this.tap, this.bridge])
      if (existsSync(`/sys/class/net/${link}`)) await ip("link", "delete", link);
  }
}

async function ip(...words: string[]): Promise<void> {
  await run("ip", words);
}
