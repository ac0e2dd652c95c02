/** Whether what systemd-boot starts while no key is pressed is the system that runs now. */
import { type Choice, chosenEntry, type Menu, type Wishes } from "../systemd-boot-menu/choice.ts";
import { NAMINGS, withoutCount } from "../systemd-boot-menu/entry.ts";
import { attended, type Judgement, UNATTENDED, unknown } from "./judgement.ts";
import { isOtherRoot, rootIn } from "./root.ts";

export interface SystemdBootStart extends Wishes {
  menu: Menu;
  /** `LoaderEntrySelected`: the entry that started this system. */
  selected: string | undefined;
  /** Of the system that runs. */
  commandLine: string;
}

const REMEDY = "Make this system the default with `bootctl set-default`.";

export function judgeSystemdBootDefault(start: SystemdBootStart): Judgement[] {
  return NAMINGS.map((naming) => judgeChoice(chosenEntry(start.menu, start, naming), start));
}

function judgeChoice(choice: Choice, { selected, commandLine, oneShot }: SystemdBootStart): Judgement {
  const started = selected
    ? `this system was started by ${selected}`
    : "it does not say what started this system";
  if (choice.kind === "none") {
    return unknown(`systemd-boot's menu has no entry for this system; ${started}`, REMEDY);
  }
  const remedy = oneShot === undefined ? REMEDY : 'Take it back with `bootctl set-oneshot ""`.';
  const once = oneShot === undefined ? "" : " once (LoaderEntryOneShot)";
  if (choice.kind === "automatic")
    return attended(`systemd-boot starts ${choice.name}${once}, and ${started}`, remedy);
  const { file, options } = choice.entry;
  if (selected && withoutCount(file).toLowerCase() === withoutCount(selected).toLowerCase())
    return UNATTENDED;
  const [root, running] = [options ?? "", commandLine].map((line) => rootIn(line.split(/\s+/)));
  if (root !== undefined && root === running) return UNATTENDED;
  const reason = `systemd-boot starts ${file}${once} with root=${root ?? "(unknown)"}, and ${started} and runs with root=${running ?? "(none)"}`;
  return (isOtherRoot(root, running) ? attended : unknown)(reason, remedy);
}
