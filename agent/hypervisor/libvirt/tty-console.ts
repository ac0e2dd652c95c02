import { constants, openSync } from "node:fs";
import { open } from "node:fs/promises";
import { ReadStream } from "node:tty";
import { HypervisorFailedError } from "#shared/errors.ts";
import type { MachineConsole } from "../machine-keeper.ts";

/** The console behind a terminal of this host, as libvirt names it. */
export async function openTtyConsole(path: string): Promise<MachineConsole> {
  if (!/^\/dev\/pts\/\d+$/.test(path)) throw new HypervisorFailedError(`${path} is not a terminal`);
  // It must not become the agent's own terminal, which could then interrupt the agent.
  const flags = constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK;
  const keyboard = await open(path, flags);
  // The stream closes its descriptor itself.
  const output = new ReadStream(openSync(path, flags)).setEncoding("latin1");
  return {
    output,
    pressEnter: async () => {
      await keyboard.write("\n");
    },
    close: () => {
      output.destroy();
      void keyboard.close();
    },
  };
}
