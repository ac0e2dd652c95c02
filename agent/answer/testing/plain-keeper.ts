import { PassThrough } from "node:stream";
import type { MachineKeeper } from "../../hypervisor/machine-keeper.ts";

/** For tests: a keeper whose machine shows on its console what a test writes. */
export class PlainKeeper {
  readonly output = new PassThrough({ encoding: "latin1" });
  isOn = false;
  enters = 0;
  closed = 0;

  power = async () => (this.isOn ? ("on" as const) : ("off" as const));
  start = async () => {
    this.isOn = true;
  };
  openConsole = async () => ({
    output: this.output,
    pressEnter: async () => {
      this.enters++;
    },
    close: () => {
      this.closed++;
    },
  });

  /** At which its machine is while it is isolated. */
  bridge = "";
  isolatedBridge = async () => this.bridge;

  asKeeper(): MachineKeeper {
    return this as unknown as MachineKeeper;
  }
}
