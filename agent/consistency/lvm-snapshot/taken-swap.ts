import type { SurveyedDisk } from "./survey.ts";

/**
 * What was swap space when the disk was surveyed, and is not any more, in words: its content was left out,
 * and may be something else by now. `before`, `now`: devices in use as swap space.
 */
export function takenSwap(
  { volumes, direct }: Pick<SurveyedDisk, "volumes" | "direct">,
  before: readonly string[],
  now: readonly string[],
): string[] {
  const isTaken = (device: string | undefined) =>
    device !== undefined && before.includes(device) && !now.includes(device);
  const names = [
    ...volumes.flatMap(({ live }) => (isTaken(live.device) ? [`${live.group}/${live.name}`] : [])),
    ...direct.flatMap(({ number, device }) => (isTaken(device) ? [`partition ${number}`] : [])),
  ];
  return names.map((name) => `${name} was swap space without its content, and was taken out of use`);
}
