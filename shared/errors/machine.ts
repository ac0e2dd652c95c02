/** What can be wrong with the virtual machines that a target host defines. */
import { CausewayError } from "./causeway-error.ts";

/** Another machine, network or storage pool of the hypervisor is in the way. Nothing of it was changed. */
export class MachineNotOursError extends CausewayError {
  override readonly name = "MachineNotOursError";
  readonly retryable = false;
  readonly hint =
    "Choose another name with --name, or remove what is in the way: Causeway replaces only what it defined itself.";

  constructor(what: string, why: string) {
    super(`${what} is not changed: ${why}`);
  }
}

/** No machine was defined for this conversion on this target host. */
export class MachineNotDefinedError extends CausewayError {
  override readonly name = "MachineNotDefinedError";
  readonly retryable = false;
  readonly hint = "Define it first: `causeway machine define`.";

  constructor(ownerId: string) {
    super(`no machine is defined for ${ownerId}`);
  }
}

/** The machine would have to be off for that. */
export class MachineRunningError extends CausewayError {
  override readonly name = "MachineRunningError";
  readonly retryable = false;
  readonly hint = "Stop it first: `causeway machine stop`.";

  constructor(name: string, action: string) {
    super(`the machine ${name} is on and cannot be ${action}`);
  }
}

/** The system did not react to the power button. It is still running. */
export class MachineNotStoppedError extends CausewayError {
  override readonly name = "MachineNotStoppedError";
  readonly retryable = false;
  readonly hint =
    "Shut it down from inside, or switch it off with --at-once: what it has not written to its disks is then lost.";

  constructor(name: string, seconds: number) {
    super(`the machine ${name} did not shut down within ${seconds} s`);
  }
}

/** The machine is on, but did not show in time that it is up. It stays on. */
export class MachineSilentError extends CausewayError {
  override readonly name = "MachineSilentError";
  readonly retryable = false;
  readonly hint =
    "Look at its screen on the target host. `causeway machine stop` and `causeway machine remove` end it; a longer --answer-timeout gives it more time.";
  override readonly details: { scriptOutput?: string };

  /** `scriptOutput`: the end of what a check script wrote last. */
  constructor(name: string, why: string, scriptOutput?: string) {
    super(`the machine ${name} does not answer: ${why}`);
    this.details = scriptOutput === undefined ? {} : { scriptOutput };
  }
}

/** The target host has no such script, or none that can be run. */
export class CheckScriptMissingError extends CausewayError {
  override readonly name = "CheckScriptMissingError";
  readonly retryable = false;
  readonly hint =
    "Put an executable file that belongs to root into /etc/causeway/checks there, restart the agent, and start over; or name another one with --check-script.";

  constructor(script: string, where: string) {
    super(`there is no check script ${script} ${where}`);
  }
}

/** A machine that is isolated cannot be asked over the network on that host. */
export class IsolatedCheckUnavailableError extends CausewayError {
  override readonly name = "IsolatedCheckUnavailableError";
  readonly retryable = false;
  readonly hint =
    "Run the agent of the target host as root, with iproute2 and util-linux installed, restart it, and start over. Or have a cutover ask only after its commit: --answer-after-commit.";

  constructor(where: string, why: string) {
    super(`${where} cannot ask a machine while that is isolated: ${why}`);
  }
}

/** Something answers there although the machine is off. The machine was not started. */
export class AddressInUseError extends CausewayError {
  override readonly name = "AddressInUseError";
  readonly retryable = false;
  readonly hint =
    "Look what answers there. Switch the source off, or take it off the network, and start over; or name an address with --answer that only the new machine has.";

  constructor(host: string, port: number) {
    super(`something already answers at ${host}:${port}: the source may still run`);
  }
}

/** It is not certain which disk the firmware starts. */
export class BootDiskUnknownError extends CausewayError {
  override readonly name = "BootDiskUnknownError";
  readonly retryable = false;
  readonly hint = "Name the disk with --boot-disk.";

  constructor(why: string) {
    super(`it is not known which disk boots: ${why}`);
  }
}

/** This host cannot give the machine what it is to have. Nothing was defined. */
export class MachineUnsupportedError extends CausewayError {
  override readonly name = "MachineUnsupportedError";
  readonly retryable = false;
  readonly hint: string;

  constructor(why: string, hint: string) {
    super(`the machine cannot be defined here: ${why}`);
    this.hint = hint;
  }
}

/** The agent's identity was enrolled on the machine of which this one is a copy, and belongs to that one. */
export class OfAnotherMachineError extends CausewayError {
  override readonly name = "OfAnotherMachineError";
  readonly retryable = false;
  readonly hint =
    "If this machine is to be protected itself, enrol it as a source of its own: with a new token and a new --data folder, which its service then names. If it is not, disable the agent's service.";

  /** `enrolledOn`, `found`: the machine's marker at enrolment, and now. */
  constructor(of: { dataDir: string; enrolledOn: string | undefined; found: string | undefined }) {
    const described = (marker: string | undefined) =>
      marker === undefined
        ? "a machine without a marker of Causeway"
        : `the machine that Causeway made for ${marker}`;
    super(
      `the agent in ${of.dataDir} does not start here: this is ${described(of.found)}, and it was enrolled on ${described(of.enrolledOn)}`,
    );
  }
}
