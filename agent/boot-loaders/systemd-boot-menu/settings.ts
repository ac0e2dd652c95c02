/** Lines of `loader.conf`, of the entries beside it, and of `os-release`, as systemd-boot splits them. */

export type Setting = readonly [key: string, value: string];

/** In the order of the file. `separator`: blanks by default; `=` in `os-release`. */
export function settingsOf(text: string, separator: RegExp = /[ \t]+/): Setting[] {
  return text
    .replace(/\0[\s\S]*$/, "")
    .split(/[\n\r]/)
    .map((line) => line.replace(/^[ \t]+|[ \t]+$/g, ""))
    .flatMap((line) => {
      const at = separator.exec(line);
      if (line.startsWith("#") || !at) return [];
      const value = line.slice(at.index + at[0].length);
      return [[line.slice(0, at.index), value.replace(/^"(.*)"$/, "$1")] as const];
    });
}

/** The value that the last line with this key gives it. */
export function lastOf(settings: readonly Setting[], key: string): string | undefined {
  return settings.findLast(([name]) => name === key)?.[1];
}
