/** Of the state's file. Other passed files have numbers from 1 on. */
const STATE_SET = 0;

/**
 * Makes a QEMU resume from the file that it inherits as `fd`. `version`: what it prints for `--version`.
 *
 * Until QEMU 9.0, `fd:` is the only way that all versions have; 9.1 names it deprecated for files, and 11.0
 * refuses it: https://www.qemu.org/docs/master/about/removed-features.html.
 */
export function resumeArguments(fd: number, version: string): string[] {
  const [, major = 0, minor = 0] = /version (\d+)\.(\d+)/.exec(version)?.map(Number) ?? [];
  const isBefore91 = major < 9 || (major === 9 && minor < 1);
  if (isBefore91) return ["-incoming", `fd:${fd}`];
  return ["-add-fd", `fd=${fd},set=${STATE_SET}`, "-incoming", `file:/dev/fdset/${STATE_SET}`];
}
