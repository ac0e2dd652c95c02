/** From one time to the other, both as ISO 8601; negative if the second one is earlier. */
export function secondsBetween(from: string, to: string): number {
  return (Date.parse(to) - Date.parse(from)) / 1000;
}
