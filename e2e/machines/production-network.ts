import { existsSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { networkInterfaces } from "node:os";
import { run } from "./disk/command.ts";

const FIRST = "198.51.100.1";
/** Without a place in the file system: the kernel frees it when its process ends, however that ends. */
const LOCK = "\0causeway-production-network";

/**
 * A network with addresses of `198.51.100.0/24`, of which this computer has the first: a bridge, and a tap
 * for a machine's second card.
 */
export class ProductionNetwork implements AsyncDisposable {
  readonly bridge = "cwprod";
  readonly tap = "cwprod-source";
  readonly #lock: Server;

  private constructor(lock: Server) {
    this.#lock = lock;
  }

  /** Throws if another process has it: the links have the same names. */
  static async open(): Promise<ProductionNetwork> {
    await using opened = new AsyncDisposableStack();
    const network = opened.use(new ProductionNetwork(await lockNetwork()));
    const { bridge, tap } = network;
    // A process that was killed leaves them.
    await network.#deleteLinks();
    const inUse = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
    const other = inUse.find(({ address }) => address.startsWith("198.51.100."));
    if (other) throw new Error(`this computer has ${other.address}, of the network that the demo needs`);
    await ip("link", "add", bridge, "type", "bridge");
    await ip("address", "add", `${FIRST}/24`, "dev", bridge);
    await ip("tuntap", "add", tap, "mode", "tap");
    await ip("link", "set", tap, "master", bridge);
    for (const link of [tap, bridge]) await ip("link", "set", link, "up");
    opened.move();
    return network;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#deleteLinks();
    this.#lock.close();
  }

  async #deleteLinks(): Promise<void> {
    for (const link of [this.tap, this.bridge])
      if (existsSync(`/sys/class/net/${link}`)) await ip("link", "delete", link);
  }
}

async function ip(...words: string[]): Promise<void> {
  await run("ip", words);
}

function lockNetwork(): Promise<Server> {
  const lock = createServer().unref();
  return new Promise((resolve, reject) => {
    lock.once("error", (error: NodeJS.ErrnoException) =>
      reject(
        error.code === "EADDRINUSE"
          ? new Error("another demo or test uses the network cwprod: wait for its end")
          : error,
      ),
    );
    lock.listen(LOCK, () => resolve(lock));
  });
}
