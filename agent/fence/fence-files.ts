/** The texts of a fence, and where they are. */
import { unitProse } from "../hypervisor/qemu/service/quoting.ts";

/** Where the parts of a fence are, of one that lasts or of one that ends with the next restart. */
export interface FencePlaces {
  /** While this file exists, the units do not start. */
  marker: string;
  /** The drop-in of a unit. */
  dropIn: (unit: string) => string;
  /** The one that an older agent made. */
  formerDropIn: (unit: string) => string;
  /** What the console shows before a login, and what a shell shows after it. */
  notices: string[];
}

/** `root`: `/etc` or `/run`, in which systemd, login and shells look alike. */
export function fencePlaces(root: string): FencePlaces {
  return {
    marker: `${root}/causeway/fenced`,
    // systemd takes drop-ins in the order of their names, and a later one can reset all conditions.
    dropIn: (unit) => `${root}/systemd/system/${unit}.d/zzz-causeway-fence.conf`,
    formerDropIn: (unit) => `${root}/systemd/system/${unit}.d/50-causeway-fence.conf`,
    notices: [`${root}/issue.d/causeway-fence.issue`, `${root}/motd.d/causeway-fence`],
  };
}

/** The file that keeps units down, of the lease of this term. */
export function markerText(term: number): string {
  return `${term}\n`;
}

/**
 * The drop-in of a unit for the return from the boot environment. It has a name of its own: in `/etc` it
 * would replace one of the same name in `/run`.
 */
export function returnDropIn(etc: string, unit: string): string {
  return `${etc}/systemd/system/${unit}.d/zzz-causeway-fence-return.conf`;
}

/**
 * What the console shows after the return until the agent has started: beside the file that fences the source
 * then. Links lead there, which agetty and pam_motd skip in silence as long as it is not there.
 */
export function returnNotice(marker: string): string {
  return `${marker}.notice`;
}

/** systemd does not start a unit whose condition does not hold, at the host's start or later. */
export function dropInText(marker: string): string {
  return [
    "# Made by Causeway. While the source is fenced, this unit does not start.",
    "[Unit]",
    `ConditionPathExists=!${marker}`,
    "",
  ].join("\n");
}

/** For people, who may not know Causeway. A terminal must not obey any of it. */
export function noticeText(fence: {
  since: string;
  reason: string;
  services: readonly string[];
  unstopped: readonly string[];
  /** Of the agent. */
  dataDir: string;
}): string {
  const kept = fence.services.length > 0 ? fence.services.join(" ") : "no services are listed";
  return (
    [
      "",
      `This machine is FENCED since ${fence.since}.`,
      unitProse(fence.reason),
      `Kept down: ${kept}`,
      ...(fence.unstopped.length > 0
        ? [`COULD NOT BE STOPPED, stop them by hand: ${fence.unstopped.join(" ")}`]
        : []),
      "If that machine is off and stays off, and only then:",
      `  causeway fence break --data ${unitProse(fence.dataDir)} --machine-is-off`,
      "",
      "",
    ]
      .join("\n")
      // agetty replaces what follows a backslash; none is left.
      .replaceAll("\\", "/")
  );
}
